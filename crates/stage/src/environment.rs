//! [`environment`]: what the bits of a floating-point result depend on, besides the action key.
//!
//! Sums of floats depend on the order of their terms, and that depends on the instructions and on the number of threads. The
//! environment names these, so that bits are only compared where they can be equal.
//!
//! | name | example | source |
//! |---|---|---|
//! | `processor` | `AuthenticAMD family 25 model 1 stepping 1` | `/proc/cpuinfo`; its `model name` alone does not tell a Zen 3 from a Zen 5 |
//! | `instruction_set` | `AVX2` | the processor's flags, chosen as libtorch does |
//! | `threads` | `2` | the grant |
//! | `device` | `cpu`, `cuda NVIDIA H100 PCIe` | the grant, `/proc/driver/nvidia` |
//! | `driver` | `NVRM version: …` | `/proc/driver/nvidia/version`, on a GPU |
//! | library | `libtorch 2.13.0` | added by [`crate::serve()`] |

use crate::protocol::{Device, Grant};
use std::collections::BTreeMap;
use std::path::Path;

/// Names with values; see the module's table.
pub type Environment = BTreeMap<String, String>;

/// Variables with which a user restricts the instructions of libtorch and of the libraries in it.
const RESTRICTIONS: [&str; 5] =
    ["ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"];

/// Returns the environment of a request. `variable` reads a variable of the process.
pub fn environment(grant: &Grant, variable: impl Fn(&str) -> Option<String>) -> Environment {
    let cpuinfo = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut environment = Environment::from([
        ("processor".to_owned(), processor(&cpuinfo)),
        ("instruction_set".to_owned(), instruction_set(&cpuinfo, variable)),
        ("threads".to_owned(), grant.threads.to_string()),
        ("device".to_owned(), device(&grant.devices, Path::new("/proc/driver/nvidia/gpus"))),
    ]);
    if grant.devices.iter().any(|device| matches!(device, Device::Cuda(_))) {
        let driver = fs_err::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
        let line = driver.lines().next().unwrap_or("unknown");
        environment.insert("driver".to_owned(), line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    environment
}

/// Returns vendor, family, model and stepping of the first processor.
fn processor(cpuinfo: &str) -> String {
    let x86 = [("vendor_id", ""), ("cpu family", "family "), ("model", "model "), ("stepping", "stepping ")];
    let arm = [
        ("CPU implementer", "implementer "),
        ("CPU variant", "variant "),
        ("CPU part", "part "),
        ("CPU revision", "revision "),
    ];
    let text = |names: [(&str, &str); 4]| {
        let texts = names.map(|(name, label)| field(cpuinfo, name).map(|value| format!("{label}{value}")));
        texts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    [text(x86), text(arm)].into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// Returns the newest instructions that libtorch uses (`at::get_cpu_capability`), with what the user restricts.
fn instruction_set(cpuinfo: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let flags: Vec<&str> = field(cpuinfo, "flags").map(|flags| flags.split_whitespace().collect()).unwrap_or_default();
    let has = |wanted: &[&str]| wanted.iter().all(|flag| flags.contains(flag));
    let mut text = if has(&["avx512vl", "avx512bw", "avx512dq", "fma"]) {
        "AVX512".to_owned()
    } else if has(&["avx2", "fma"]) {
        "AVX2".to_owned()
    } else if flags.is_empty() {
        std::env::consts::ARCH.to_owned()
    } else {
        "default".to_owned()
    };
    for name in RESTRICTIONS {
        if let Some(value) = variable(name) {
            text += &format!(" {name}={value}");
        }
    }
    text
}

/// Returns the kinds of the devices; two GPUs of one model give the same bits.
fn device(devices: &[Device], gpus: &Path) -> String {
    let models: Vec<String> = fs_err::read_dir(gpus)
        .map(|entries| {
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            let model = |path: &std::path::PathBuf| {
                let text = fs_err::read_to_string(path.join("information")).ok()?;
                text.lines().find_map(|line| line.strip_prefix("Model:")).map(|model| model.trim().to_owned())
            };
            paths.iter().filter_map(model).collect()
        })
        .unwrap_or_default();
    let name = |device: &Device| match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda {}", models.get(*index as usize).map_or("unknown", String::as_str)),
    };
    devices.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Returns the first value of a field of `/proc/cpuinfo`.
fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    cpuinfo.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two guests that both call themselves `AMD EPYC`.
    fn epyc(family: u32, flags: &str) -> String {
        format!(
            "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: {family}\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n\
             stepping\t: 1\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\n"
        )
    }

    #[test]
    fn processors_with_one_name_are_told_apart() {
        let (zen3, zen5) = (epyc(25, "avx2 fma"), epyc(26, "avx2 fma avx512vl avx512bw avx512dq"));
        assert_eq!(processor(&zen3), "AuthenticAMD family 25 model 1 stepping 1");
        assert_eq!(processor(&zen5), "AuthenticAMD family 26 model 1 stepping 1");
        let sets = [&zen3, &zen5, &epyc(21, "sse2")].map(|cpuinfo| instruction_set(cpuinfo, |_| None));
        assert_eq!(sets, ["AVX2", "AVX512", "default"]);
        let arm = "CPU implementer\t: 0x41\nCPU variant\t: 0x1\nCPU part\t: 0xd40\nCPU revision\t: 1\n";
        assert_eq!(processor(arm), "implementer 0x41 variant 0x1 part 0xd40 revision 1");
        assert_eq!(processor(""), "unknown");
    }

    #[test]
    fn restricted_instructions_are_another_environment() {
        let restricted = |name: &str| (name == "ATEN_CPU_CAPABILITY").then(|| "default".to_owned());
        assert_eq!(instruction_set(&epyc(25, "avx2 fma"), restricted), "AVX2 ATEN_CPU_CAPABILITY=default");
    }

    #[test]
    fn devices_are_named_by_their_model() {
        let folder = tempfile::tempdir().expect("a folder");
        let gpu = folder.path().join("0000:01:00.0");
        fs_err::create_dir(&gpu).expect("a folder");
        fs_err::write(gpu.join("information"), "Model: \t\t NVIDIA H100 PCIe\nIRQ: 1\n").expect("written");
        assert_eq!(device(&[Device::Cpu], folder.path()), "cpu");
        assert_eq!(device(&[Device::Cuda(0), Device::Cuda(1)], folder.path()), "cuda NVIDIA H100 PCIe, cuda unknown");
        assert_eq!(device(&[Device::Cuda(0)], Path::new("/nowhere")), "cuda unknown");
    }
}
