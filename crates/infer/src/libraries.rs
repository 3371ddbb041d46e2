//! [`Libraries`]: where the shared libraries of the engines are.

use std::ffi::OsString;
use std::path::PathBuf;

/// The paths of the shared libraries. The files need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libraries {
    /// `libonnxruntime.so`, of ONNX Runtime 1.24 or later.
    pub onnx_runtime: PathBuf,
    /// `libopenvino_c.so`, with the other libraries of OpenVINO in the same folder.
    pub openvino: PathBuf,
}

impl Libraries {
    /// The variable with the path of ONNX Runtime.
    pub const ONNX_RUNTIME_VARIABLE: &str = "ORT_DYLIB_PATH";
    /// The variable with the path of OpenVINO's C library.
    pub const OPENVINO_VARIABLE: &str = "OPENVINO_C_DYLIB_PATH";

    /// Returns the paths that [`Self::ONNX_RUNTIME_VARIABLE`] and [`Self::OPENVINO_VARIABLE`] name, else those where
    /// `cargo xtask setup` puts the libraries. `variable` returns the value of an environment variable.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || path("HOME").unwrap_or_else(|| PathBuf::from("/")).join(".cache");
        let cache = path("XDG_CACHE_HOME").filter(|path| path.is_absolute()).unwrap_or_else(home).join("pipe");
        let or_in_cache = |name, place: &str| path(name).unwrap_or_else(|| cache.join(place));
        Self {
            onnx_runtime: or_in_cache(Self::ONNX_RUNTIME_VARIABLE, "onnxruntime-1.31.1/libonnxruntime.so.1.31.1"),
            openvino: or_in_cache(Self::OPENVINO_VARIABLE, "openvino-2026.4.1/libopenvino_c.so.2641"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_before_the_cache() {
        let check = |variables: &[(&str, &str)], expect: [&str; 2]| {
            let found = Libraries::find(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            });
            let [onnx_runtime, openvino] = expect.map(PathBuf::from);
            assert_eq!(found, Libraries { onnx_runtime, openvino });
        };
        let in_home = [
            "/home/me/.cache/pipe/onnxruntime-1.31.1/libonnxruntime.so.1.31.1",
            "/home/me/.cache/pipe/openvino-2026.4.1/libopenvino_c.so.2641",
        ];
        check(&[("HOME", "/home/me"), ("XDG_CACHE_HOME", "not/absolute")], in_home);
        let other = [("ORT_DYLIB_PATH", "/o.so"), ("OPENVINO_C_DYLIB_PATH", "/v.so")];
        check(&other, ["/o.so", "/v.so"]);
        let cached = ["/c/pipe/onnxruntime-1.31.1/libonnxruntime.so.1.31.1", "/v.so"];
        check(&[("XDG_CACHE_HOME", "/c"), ("OPENVINO_C_DYLIB_PATH", "/v.so"), ("ORT_DYLIB_PATH", "")], cached);
    }
}
