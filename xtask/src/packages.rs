//! [`install_missing`]: FFmpeg's headers and the build tools, from the system's package manager.

use crate::failure::Failure;
use crate::print;
use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that build scripts call, and the Debian packages that contain them.
const PROGRAMS: &[(&str, &str)] = &[
    ("c++", "g++"),
    ("clang", "clang"),
    ("cmake", "cmake"),
    ("nasm", "nasm"),
    ("pkg-config", "pkg-config"),
    ("python3", "python3"),
];

/// The libraries of FFmpeg 5.0 or newer and their versions, by pkg-config's names; Debian's packages add `-dev`.
const FFMPEG: &[(&str, &str)] =
    &[("libavcodec", "59"), ("libavformat", "59"), ("libavutil", "57"), ("libswscale", "6")];

/// Installs missing packages if that needs no password; else returns an error with the command to run.
pub(crate) fn install_missing() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !on_path("apt-get") {
        let message = format!("missing packages (Debian's names): {list}");
        return Err(Failure::new(message)
            .help("Install the packages of your distribution that correspond to these (FFmpeg 5.0 or newer)."));
    }
    let Some(prefix) = administrator() else {
        return Err(Failure::new(format!("missing packages: {list}")).help(format!(
            "Run this, then the same task again:\n\n  sudo apt-get update && sudo apt-get install -y {list}"
        )));
    };
    apt_get(prefix, &missing)?;
    match self::missing().as_slice() {
        [] => Ok(()),
        left => Err(Failure::new(format!("still missing after `apt-get install`: {}", left.join(" ")))
            .help("The messages of apt-get are above. FFmpeg must be 5.0 or newer, as in Debian 12 and Ubuntu 24.04.")),
    }
}

fn apt_get(prefix: &[&str], packages: &[String]) -> Result<(), Failure> {
    print(&format!("installing {}", packages.join(" ")));
    // Another installation may be running; apt waits for it.
    let apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"];
    let run = |arguments: &[&str]| {
        let mut words = prefix.iter().chain(&apt).chain(arguments);
        let mut command = Command::new(words.next().unwrap_or(&"env"));
        command.args(words).args(if arguments == ["update"] { &[] } else { packages });
        command.stdin(Stdio::null()).stdout(std::io::stderr()).status()
    };
    // A failed update is not fatal: the existing package lists may be recent enough.
    run(&["update"])?;
    match run(&["install", "-y", "--no-install-recommends"])? {
        status if status.success() => Ok(()),
        status => Err(Failure::Program(status)),
    }
}

/// Installs pip if it is missing; only the first download needs it.
pub(crate) fn require_pip() -> Result<(), Failure> {
    let found = || {
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if found() {
        return Ok(());
    }
    if on_path("apt-get")
        && let Some(prefix) = administrator()
    {
        apt_get(prefix, &["python3-pip".to_owned()])?;
    }
    if found() {
        return Ok(());
    }
    Err(Failure::new("python3 has no pip, which downloads libtorch")
        .help("Run this, then the same task again:\n\n  sudo apt-get install -y python3-pip"))
}

fn missing() -> Vec<String> {
    let programs = PROGRAMS.iter().filter(|(program, _)| !on_path(program));
    let mut missing: Vec<String> = programs.map(|(_, package)| (*package).to_owned()).collect();
    if !libclang_found() {
        missing.push("libclang-dev".into());
    }
    let parts = FFMPEG.iter().filter(|(part, version)| !pkg_config(&[(part, version)]));
    // If nothing is missing, one call of pkg-config shows it.
    if !pkg_config(FFMPEG) {
        missing.extend(parts.map(|(part, _)| format!("{part}-dev")));
    }
    missing
}

fn pkg_config(parts: &[(&str, &str)]) -> bool {
    let mut command = Command::new("pkg-config");
    command.arg("--exists").args(parts.iter().map(|(part, version)| format!("{part} >= {version}")));
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Looks where bindgen looks on Linux.
fn libclang_found() -> bool {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let has_libclang = |folder: &Path| {
        let is_it = |name: &str| name.starts_with("libclang.so") || name.starts_with("libclang-");
        entries(folder).iter().filter_map(|path| path.file_name().and_then(OsStr::to_str)).any(is_it)
    };
    let llvm = entries(Path::new("/usr/lib")).into_iter().map(|folder| folder.join("lib"));
    let system = ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib"].map(PathBuf::from);
    system.into_iter().chain(llvm).any(|folder| has_libclang(&folder))
}

/// Returns the words that run a command as root without a password, if there are such.
fn administrator() -> Option<&'static [&'static str]> {
    // std has no user ids; the folder of a process in /proc belongs to its user.
    if fs_err::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
        return Some(&[]);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sudo.status().is_ok_and(|status| status.success()).then_some(&["sudo", "-n"])
}
