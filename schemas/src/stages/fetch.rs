//! `fetch`: files from the network, verified and unpacked.

use crate::contract::{Check, Contract, Numerics, OutputPort, ParamError, Params, PortType, Worker, parse, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Contract of `fetch`.
pub const CONTRACT: Contract = Contract {
    kind: "fetch",
    version: 1,
    summary: "downloads files, verifies their digests and unpacks archives",
    worker: Some(Worker::Data),
    open_ports: None,
    inputs: &[],
    outputs: &[OutputPort { name: "files", port_type: PortType::Folder, path: "files" }],
    parts: None,
    numerics: Numerics::Exact,
    check: Check::Never,
    tools: &[],
    schema: schema::<FetchParams>,
    parse: parse::<FetchParams>,
};

/// Parameters of `fetch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FetchParams {
    /// Files to download.
    pub files: Vec<FetchFile>,
    /// Unpack the files: zip, tar (plain, or compressed with gzip, bzip2, xz or zstd) or rar. The format is detected from the
    /// content. Reading rar needs the program `bsdtar` (libarchive).
    pub unpack: bool,
    /// Number of leading folders to remove from each path in an archive: 1 turns `UCF-101/Biking/x.avi` into `Biking/x.avi`.
    #[schemars(range(max = 100))]
    pub strip_folders: u32,
    /// Also unpack archives inside the archives, each into its own folder. HMDB51 needs this.
    pub nested: bool,
    /// Maximum size of a download, and of all unpacked files together, in bytes. Not part of the key.
    #[schemars(range(min = 1))]
    pub max_bytes: u64,
    /// Maximum number of unpacked files and folders. Not part of the key.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_files: u64,
}

/// A file to download, with at least one digest of its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchFile {
    /// `https://…`, `http://…` or `file:///…`. With a digest, the URL is not part of the key: a file with the same digest may
    /// come from any mirror.
    pub url: String,
    /// SHA-256 of the file, in hexadecimal, as `sha256sum` prints it.
    #[serde(default)]
    pub sha256: Option<String>,
    /// BLAKE3 of the file, in hexadecimal, as `b3sum` prints it.
    #[serde(default)]
    pub blake3: Option<String>,
    /// MD5 of the file, in hexadecimal, as `md5sum` prints it. MD5 detects accidental damage but not tampering; many data
    /// sets publish nothing else.
    #[serde(default)]
    pub md5: Option<String>,
    /// Accept the file without a digest. A warning then reports its SHA-256.
    #[serde(default)]
    pub unchecked: bool,
    /// Path of the file in the output `files`, or the folder to unpack an archive into. Default: the last part of the URL, or the
    /// top of `files` for an archive.
    #[serde(default)]
    pub path: Option<String>,
}

/// A hash algorithm of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256, as `sha256sum` prints it.
    Sha256,
    /// BLAKE3, as `b3sum` prints it.
    Blake3,
    /// MD5, as `md5sum` prints it.
    Md5,
}

impl Algorithm {
    /// Returns the name of the parameter that holds a digest of this algorithm.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
            Self::Md5 => "md5",
        }
    }

    fn num_digits(self) -> usize {
        if self == Self::Md5 { 32 } else { 64 }
    }
}

impl FetchFile {
    /// Returns the expected digests in lower case, the strongest first.
    pub fn digests(&self) -> Vec<(Algorithm, String)> {
        let all = [(Algorithm::Sha256, &self.sha256), (Algorithm::Blake3, &self.blake3), (Algorithm::Md5, &self.md5)];
        let given = |(algorithm, digest): (_, &Option<String>)| Some((algorithm, digest.as_ref()?.to_lowercase()));
        all.into_iter().filter_map(given).collect()
    }

    /// Returns what identifies the content, and its kind: the strongest digest, or else the URL.
    pub fn content(&self) -> (&'static str, String) {
        match self.digests().into_iter().next() {
            Some((algorithm, digest)) => (algorithm.name(), digest),
            None => ("url", self.url.clone()),
        }
    }

    /// Returns the path of the file, or of the folder it is unpacked into, below `files`. Empty for `files` itself.
    pub fn target(&self, unpack: bool) -> String {
        match &self.path {
            Some(path) => path.trim_end_matches('/').to_owned(),
            None if unpack => String::new(),
            None => last_part(&self.url),
        }
    }

    fn check(&self, unpack: bool) -> Vec<(&'static str, String, &'static str)> {
        let mut wrong = Vec::new();
        let rest = ["https://", "http://", "file:///"].iter().find_map(|scheme| self.url.strip_prefix(scheme));
        match rest {
            None => wrong.push(("url", "not a supported URL".to_owned(), "https://…, http://… or file:///…")),
            // Not repeated in the message: it contains a password.
            Some(rest) if rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) => {
                let help = "download the file yourself and use its path: file:///…";
                wrong.push(("url", "contains credentials".to_owned(), help));
            }
            Some(_) => {}
        }
        let digests = self.digests();
        for (algorithm, digest) in &digests {
            if digest.len() != algorithm.num_digits() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let expected = format!("must have {} hexadecimal digits", algorithm.num_digits());
                wrong.push((algorithm.name(), expected, "copy it from the output of `sha256sum`, `b3sum` or `md5sum`"));
            }
        }
        if digests.is_empty() && !self.unchecked {
            let help = "add sha256: …, blake3: … or md5: …; or set `unchecked: true` to accept any content and have its digest reported";
            wrong.push(("url", "has no digest to verify the download with".to_owned(), help));
        } else if !digests.is_empty() && self.unchecked {
            wrong.push(("unchecked", "contradicts the digest".to_owned(), "remove the digest or `unchecked`"));
        }
        let target = self.target(unpack);
        let whole_folder = unpack && target.is_empty();
        if let Err(error) = check_path(&target)
            && !whole_folder
        {
            let at = if self.path.is_some() { "path" } else { "url" };
            wrong.push((at, format!("the output path {target:?} {error}"), "path: folder/name"));
        }
        wrong
    }
}

/// Checks that a relative path stays inside its folder and is valid on every file system. Returns the problem as a phrase that
/// follows the path.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("is empty");
    }
    if path.starts_with('/') {
        return Err("is absolute");
    }
    if path.len() > 1024 || path.split('/').any(|part| part.len() > 255) {
        return Err("is too long");
    }
    if path.chars().any(char::is_control) {
        return Err("contains a control character");
    }
    if path.contains('\\') {
        return Err("contains a backslash");
    }
    match path.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some("..") => Err("leads out of the folder"),
        Some(_) => Err("contains an empty part or `.`"),
        None => Ok(()),
    }
}

/// Returns the part of a URL after its last `/`, as a file name.
fn last_part(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.split_once("://").and_then(|(_, rest)| rest.rsplit_once('/')).map_or("", |(_, name)| name);
    percent_decoded(name)
}

/// Decodes percent-encoding such as `%20`. Bytes that are not UTF-8 become U+FFFD.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Default for FetchParams {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            unpack: true,
            strip_folders: 0,
            nested: false,
            max_bytes: 100_000_000_000,
            max_files: 1_000_000,
        }
    }
}

impl Params for FetchParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        let mut wrong = |path: &[&str], message: String, help: &str| {
            let path = path.iter().map(|step| (*step).to_owned()).collect();
            errors.push(ParamError { path, message, help: help.to_owned() });
        };
        if self.files.is_empty() {
            wrong(&["files"], "the list of files is empty".into(), "files: [{ url: https://…, sha256: … }]");
        }
        for (position, file) in self.files.iter().enumerate() {
            for (param, message, help) in file.check(self.unpack) {
                wrong(&["files", &position.to_string(), param], message, help);
            }
            if self.files[..position].iter().any(|other| other.content() == file.content()) {
                let message = "another file has the same content".to_owned();
                wrong(&["files", &position.to_string(), "url"], message, "list each file once");
            }
        }
        let unused = [("strip_folders", self.strip_folders != 0), ("nested", self.nested)];
        for (param, _) in unused.iter().filter(|(_, set)| *set && !self.unpack) {
            wrong(&[param], "has no effect without `unpack`".into(), "remove it, or set `unpack: true`");
        }
        errors
    }

    /// The key contains the digests, not the URLs and limits: these do not change the output.
    fn keyed(&self) -> Option<Value> {
        let file = |file: &FetchFile| {
            let (name, content) = file.content();
            json!({ "content": { name: content }, "path": file.target(self.unpack) })
        };
        let files: Vec<Value> = self.files.iter().map(file).collect();
        let (strip_folders, nested) = (self.strip_folders, self.nested);
        Some(json!({ "files": files, "unpack": self.unpack, "strip_folders": strip_folders, "nested": nested }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "6463accf4bbc20fa6418ab7f159e6149";

    fn params(file: FetchFile, unpack: bool) -> FetchParams {
        FetchParams { files: vec![file], unpack, ..FetchParams::default() }
    }

    fn file(url: &str) -> FetchFile {
        FetchFile { url: url.into(), md5: Some(MD5.into()), ..FetchFile::default() }
    }

    fn check(file: FetchFile, unpack: bool, expect: &[&str]) {
        let errors = params(file, unpack).check();
        let found: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.path[2], error.message)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn every_problem_of_a_file_is_reported() {
        check(file("https://host/a/b.zip?x=1#y"), true, &[]);
        check(file("file:///a/b%20c.txt"), false, &[]);
        check(file("ftp://host/a"), true, &["url: not a supported URL"]);
        check(file("file://host/a"), true, &["url: not a supported URL"]);
        check(file("https://me:secret@host/a"), true, &["url: contains credentials"]);
        check(file("https://host/"), false, &["url: the output path \"\" is empty"]);
        check(file("https://host"), false, &["url: the output path \"\" is empty"]);
        check(file("https://host/a/%2e%2e"), false, &["url: the output path \"..\" leads out of the folder"]);
        check(file("https://host/%2Fetc"), false, &["url: the output path \"/etc\" is absolute"]);
        let path = |path: &str| FetchFile { path: Some(path.into()), ..file("https://host/a") };
        check(path("a/b/"), true, &[]);
        check(path("a//b"), true, &["path: the output path \"a//b\" contains an empty part or `.`"]);
        check(path("a\\b"), true, &["path: the output path \"a\\\\b\" contains a backslash"]);
        let unchecked = |unchecked, md5: Option<&str>| {
            let md5 = md5.map(str::to_owned);
            FetchFile { url: "https://host/a".into(), md5, unchecked, ..FetchFile::default() }
        };
        check(unchecked(true, None), true, &[]);
        check(unchecked(false, None), true, &["url: has no digest to verify the download with"]);
        check(unchecked(true, Some(MD5)), true, &["unchecked: contradicts the digest"]);
        check(unchecked(false, Some("xyz")), true, &["md5: must have 32 hexadecimal digits"]);
    }

    #[test]
    fn problems_of_other_parameters_are_reported() {
        let problems = |params: &FetchParams| -> Vec<String> {
            params.check().into_iter().map(|error| format!("{}: {}", error.path.join("."), error.message)).collect()
        };
        assert_eq!(problems(&FetchParams::default()), ["files: the list of files is empty"]);
        let twice = FetchParams { files: vec![file("http://a/x"), file("http://b/y")], ..FetchParams::default() };
        assert_eq!(problems(&twice), ["files.1.url: another file has the same content"]);
        let unused = FetchParams { strip_folders: 1, nested: true, ..params(file("http://a/x"), false) };
        let nothing = "has no effect without `unpack`";
        assert_eq!(problems(&unused), [format!("strip_folders: {nothing}"), format!("nested: {nothing}")]);
    }

    #[test]
    fn the_digest_is_in_the_key_and_the_url_is_not() {
        let key = |file: FetchFile, unpack| params(file, unpack).keyed().expect("a key").to_string();
        let upper = FetchFile { md5: Some(MD5.to_uppercase()), ..file("http://mirror/c.zip") };
        assert_eq!(key(file("https://host/b.zip"), true), key(upper.clone(), true));
        assert_ne!(key(file("https://host/b.zip"), false), key(upper, false), "the name of a file decides the output");
        let unchecked = |url: &str| key(FetchFile { url: url.into(), unchecked: true, ..FetchFile::default() }, true);
        assert_ne!(unchecked("https://host/a"), unchecked("https://host/b"));
        let more = FetchParams { max_bytes: 1, max_files: 1, ..params(file("https://host/b.zip"), true) };
        assert_eq!(more.keyed().expect("a key").to_string(), key(file("https://host/b.zip"), true));
    }
}
