"""Unpacks members of a wheel: unpack.py WHEEL FOLDER FROM=TO...

FROM is a member, or a folder when it ends with a slash; TO is its new place in FOLDER.
"""

import pathlib
import shutil
import sys
import zipfile

wheel, folder, *rules = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for rule in rules:
        source, target = rule.split("=")
        members = [name for name in archive.namelist() if name == source or source.endswith("/") and name.startswith(source)]
        if not members:
            sys.exit(f"{wheel} has no {source}")
        for name in members:
            path = pathlib.Path(folder, target + name[len(source):])
            if not name.endswith("/"):
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as packed, open(path, "wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
