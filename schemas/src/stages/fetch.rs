//! `fetch`: files from the network, checked and unpacked.

use crate::contract::{Check, Contract, Numerics, OutputPort, ParamError, Params, PortType, Worker, parse, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Contract of `fetch`.
pub const CONTRACT: Contract = Contract {
    kind: "fetch",
    version: 1,
    summary: "downloads files, checks their digests, and unpacks archives",
    worker: Some(Worker::Data),
    open_ports: false,
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
    /// What to download.
    pub files: Vec<FetchFile>,
    /// Whether these are archives to be unpacked: zip, tar (also as gz, bz2, xz or zst) or rar. What a file is, its content
    /// says. A rar needs the program `bsdtar` (libarchive).
    pub unpack: bool,
    /// How many folders to drop from the front of each path in an archive: 1 makes `UCF-101/Biking/x.avi` to `Biking/x.avi`.
    #[schemars(range(max = 100))]
    pub strip_folders: u32,
    /// Whether archives in these archives are unpacked as well, into the folder where they lie, as HMDB51 needs it.
    pub nested: bool,
    /// How many bytes a download may have, and how many may come out of all archives. No part of the key.
    #[schemars(range(min = 1))]
    pub max_bytes: u64,
    /// How many files and folders may come out of all archives. No part of the key.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_files: u64,
}

/// A file to download, with one digest or more of its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchFile {
    /// `https://…`, `http://…` or `file:///…`. No part of the key where there is a digest: it decides the content.
    pub url: String,
    /// In hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// In hexadecimal.
    #[serde(default)]
    pub blake3: Option<String>,
    /// In hexadecimal. It finds accidents, but no one with bad intent; many data sets publish nothing else.
    #[serde(default)]
    pub md5: Option<String>,
    /// Whether it is taken without a digest. What it is, is then told as a warning.
    #[serde(default)]
    pub unchecked: bool,
    /// Where it goes below `files`: the file, or the folder that an archive is unpacked into. Left out, that is the last part
    /// of the url, or the folder itself.
    #[serde(default)]
    pub path: Option<String>,
}

/// A way to hash content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// BLAKE3.
    Blake3,
    /// MD5.
    Md5,
}

impl Algorithm {
    /// Returns the parameter that names a digest of this kind.
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
    /// Returns the digests it must have, in lower case, the one that says most first.
    pub fn digests(&self) -> Vec<(Algorithm, String)> {
        let all = [(Algorithm::Sha256, &self.sha256), (Algorithm::Blake3, &self.blake3), (Algorithm::Md5, &self.md5)];
        let given = |(algorithm, digest): (_, &Option<String>)| Some((algorithm, digest.as_ref()?.to_lowercase()));
        all.into_iter().filter_map(given).collect()
    }

    /// Returns what says best which content is meant, and what sort of thing that is: a digest, or else the url.
    pub fn content(&self) -> (&'static str, String) {
        match self.digests().into_iter().next() {
            Some((algorithm, digest)) => (algorithm.name(), digest),
            None => ("url", self.url.clone()),
        }
    }

    /// Returns where it goes: the file, or the folder that it is unpacked into; empty for the folder `files` itself.
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
            None => wrong.push(("url", "is no url that can be fetched".to_owned(), "https://…, http://… or file:///…")),
            // It is not repeated, as it holds a password.
            Some(rest) if rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) => {
                wrong.push(("url", "has credentials in it".to_owned(), "fetch it yourself, and name it as file:///…"));
            }
            Some(_) => {}
        }
        let digests = self.digests();
        for (algorithm, digest) in &digests {
            if digest.len() != algorithm.num_digits() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let expected = format!("is not {} hexadecimal digits", algorithm.num_digits());
                wrong.push((algorithm.name(), expected, "as `sha256sum`, `b3sum` or `md5sum` prints it"));
            }
        }
        if digests.is_empty() && !self.unchecked {
            let help = "sha256: …, blake3: … or md5: …; `unchecked: true` takes whatever comes and tells its digest";
            wrong.push(("url", "has no digest to be checked against".to_owned(), help));
        } else if !digests.is_empty() && self.unchecked {
            wrong.push(("unchecked", "contradicts the digest beside it".to_owned(), "leave one of them out"));
        }
        let target = self.target(unpack);
        let whole_folder = unpack && target.is_empty();
        if let Err(error) = check_path(&target)
            && !whole_folder
        {
            let at = if self.path.is_some() { "path" } else { "url" };
            wrong.push((at, format!("gives the path {target:?}, which {error}"), "path: folders/and/name"));
        }
        wrong
    }
}

/// Says what is wrong with a path that is to lie in a folder, as a fragment that fits after "which".
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
        return Err("has a control character in it");
    }
    if path.contains('\\') {
        return Err("has a backslash in it");
    }
    match path.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some("..") => Err("leads out of the folder"),
        Some(_) => Err("has an empty part"),
        None => Ok(()),
    }
}

/// Returns what stands behind the last `/` of a url, as a file name.
fn last_part(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.split_once("://").and_then(|(_, rest)| rest.rsplit_once('/')).map_or("", |(_, name)| name);
    percent_decoded(name)
}

/// Replaces `%20` and the like; what is no UTF-8 then becomes a question mark in a diamond.
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
            wrong(&["files"], "there is nothing to fetch".into(), "files: [{ url: https://…, sha256: … }]");
        }
        for (position, file) in self.files.iter().enumerate() {
            for (param, message, help) in file.check(self.unpack) {
                wrong(&["files", &position.to_string(), param], message, help);
            }
            if self.files[..position].iter().any(|other| other.content() == file.content()) {
                let message = "is the content of another of the files".to_owned();
                wrong(&["files", &position.to_string(), "url"], message, "name each file once");
            }
        }
        let unused = [("strip_folders", self.strip_folders != 0), ("nested", self.nested)];
        for (param, _) in unused.iter().filter(|(_, set)| *set && !self.unpack) {
            wrong(&[param], "means nothing where nothing is unpacked".into(), "leave it out, or `unpack: true`");
        }
        errors
    }

    /// Where content comes from, and what more of it would be refused, is no part of what it is.
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
        let told: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.path[2], error.message)).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        check(file("https://host/a/b.zip?x=1#y"), true, &[]);
        check(file("file:///a/b%20c.txt"), false, &[]);
        check(file("ftp://host/a"), true, &["url: is no url that can be fetched"]);
        check(file("file://host/a"), true, &["url: is no url that can be fetched"]);
        check(file("https://me:secret@host/a"), true, &["url: has credentials in it"]);
        check(file("https://host/"), false, &["url: gives the path \"\", which is empty"]);
        check(file("https://host"), false, &["url: gives the path \"\", which is empty"]);
        check(file("https://host/a/%2e%2e"), false, &["url: gives the path \"..\", which leads out of the folder"]);
        check(file("https://host/%2Fetc"), false, &["url: gives the path \"/etc\", which is absolute"]);
        let path = |path: &str| FetchFile { path: Some(path.into()), ..file("https://host/a") };
        check(path("a/b/"), true, &[]);
        check(path("a//b"), true, &["path: gives the path \"a//b\", which has an empty part"]);
        check(path("a\\b"), true, &["path: gives the path \"a\\\\b\", which has a backslash in it"]);
        let unchecked = |unchecked, md5: Option<&str>| {
            let md5 = md5.map(str::to_owned);
            FetchFile { url: "https://host/a".into(), md5, unchecked, ..FetchFile::default() }
        };
        check(unchecked(true, None), true, &[]);
        check(unchecked(false, None), true, &["url: has no digest to be checked against"]);
        check(unchecked(true, Some(MD5)), true, &["unchecked: contradicts the digest beside it"]);
        check(unchecked(false, Some("xyz")), true, &["md5: is not 32 hexadecimal digits"]);
    }

    #[test]
    fn what_is_wrong_with_the_rest_is_said() {
        let told = |params: &FetchParams| -> Vec<String> {
            params.check().into_iter().map(|error| format!("{}: {}", error.path.join("."), error.message)).collect()
        };
        assert_eq!(told(&FetchParams::default()), ["files: there is nothing to fetch"]);
        let twice = FetchParams { files: vec![file("http://a/x"), file("http://b/y")], ..FetchParams::default() };
        assert_eq!(told(&twice), ["files.1.url: is the content of another of the files"]);
        let unused = FetchParams { strip_folders: 1, nested: true, ..params(file("http://a/x"), false) };
        let nothing = "means nothing where nothing is unpacked";
        assert_eq!(told(&unused), [format!("strip_folders: {nothing}"), format!("nested: {nothing}")]);
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
