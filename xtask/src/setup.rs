//! [`setup`]: what a build needs and cargo does not install.

use crate::failure::Failure;
use crate::{libraries, packages, print};
use fs_err as fs;
use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Installs what is missing, with `--cuda` also for NVIDIA GPUs.
pub(crate) fn setup_with(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    match args {
        [] => setup(root),
        [flag] if flag == "--cuda" => {
            setup(root)?;
            let folder = libraries::cuda(&cache_folder()?)?;
            print(&format!("libtorch for NVIDIA GPUs is in {}", folder.display()));
            Ok(())
        }
        [other, ..] => {
            Err(Failure::new(format!("`setup` has no argument `{}`", other.display()))
                .help("cargo xtask setup [--cuda]"))
        }
    }
}

/// Installs what is missing; takes milliseconds if nothing is.
pub(crate) fn setup(root: &Path) -> Result<(), Failure> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Err(Failure::new("only Linux with glibc on x86_64 is supported for now"));
    }
    packages::install_missing()?;
    let cache = cache_folder()?;
    let link = root.join(".libs/libtorch");
    let libtorch = match own_libtorch(&link)? {
        Some(libtorch) => libtorch,
        None => libraries::libtorch(&cache)?,
    };
    libraries::onnxruntime(&cache)?;
    libraries::openvino(&cache)?;
    point(&link, &libtorch)
}

/// Returns the libtorch that the user's `LIBTORCH` names; `.cargo/config.toml` sets it to `link` if the user did not.
fn own_libtorch(link: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(own) = env::var_os("LIBTORCH").map(PathBuf::from).filter(|own| own != link) else {
        return Ok(None);
    };
    if own.is_absolute() && own.join("lib/libtorch_cpu.so").exists() {
        return Ok(Some(own));
    }
    let message = format!("LIBTORCH is {}, which does not contain lib/libtorch_cpu.so", own.display());
    Err(Failure::new(message)
        .help(format!("Set it to the full path of an unpacked libtorch {}, or unset it.", libraries::LIBTORCH_VERSION)))
}

/// Returns the folder that all copies of this repository download to.
fn cache_folder() -> Result<PathBuf, Failure> {
    let folder = |name| env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let base = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    base.map(|base| base.join("pipe")).ok_or_else(|| Failure::new("neither XDG_CACHE_HOME nor HOME names a folder"))
}

fn point(link: &Path, target: &Path) -> Result<(), Failure> {
    match fs::read_link(link) {
        Ok(old) if old == target => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) => {
            let message = format!("{} exists and is not a symbolic link", link.display());
            return Err(Failure::new(message).help("Move it away, then run `cargo xtask setup` again."));
        }
    }
    let folder = link.parent().unwrap_or(link);
    fs::create_dir_all(folder)?;
    // Created under another name and renamed, so that a build that runs at the same time always finds a link.
    let fresh = folder.join(format!("libtorch.{}", std::process::id()));
    symlink(target, &fresh)?;
    fs::rename(&fresh, link)?;
    print(&format!(".libs/libtorch -> {}", target.display()));
    Ok(())
}
