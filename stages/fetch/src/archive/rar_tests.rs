//! Tests with rar archives that are written byte by byte, without compression, because no free program writes them.

use super::tests::{check, plain, refused};
use std::process::Command;

/// A file, or a link, whose content is its target.
struct RarEntry<'a> {
    name: &'a str,
    mode: u32,
    content: &'a [u8],
}

const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

/// Returns a rar of version 4, like that of UCF101.
fn rar4(made: &[RarEntry]) -> Vec<u8> {
    let block = |body: &[u8]| [&(crc32(body) as u16).to_le_bytes()[..], body].concat();
    let mut bytes = b"Rar!\x1a\x07\x00".to_vec();
    bytes.extend(block(&[&[0x73, 0, 0, 13, 0][..], &[0; 6]].concat()));
    for RarEntry { name, mode, content } in made {
        let size = (content.len() as u32).to_le_bytes();
        let header_size = (32 + name.len() as u16).to_le_bytes();
        let body = [
            &[0x74, 0x00, 0x80][..], // a file, with content behind
            &header_size,
            &size,
            &size,
            &[3], // made on Unix
            &crc32(content).to_le_bytes(),
            &[0, 0, 0x21, 0x43, 29, 0x30], // a time; version 2.9; stored
            &(name.len() as u16).to_le_bytes(),
            &mode.to_le_bytes(),
            name.as_bytes(),
        ];
        bytes.extend(block(&body.concat()));
        bytes.extend(*content);
    }
    bytes.extend(block(&[0x7b, 0, 0x40, 7, 0]));
    bytes
}

/// Returns a rar of version 5. All numbers except the mode are below 128, so each is one byte.
fn rar5(made: &[RarEntry]) -> Vec<u8> {
    let block = |body: &[u8]| {
        let sized = [&[body.len() as u8], body].concat();
        [&crc32(&sized).to_le_bytes()[..], &sized].concat()
    };
    let mut bytes = b"Rar!\x1a\x07\x01\x00".to_vec();
    bytes.extend(block(&[1, 0, 0]));
    for RarEntry { name, mode, content } in made {
        let size = content.len() as u8;
        let mode = [*mode as u8 | 0x80, (mode >> 7) as u8 | 0x80, (mode >> 14) as u8];
        let crc = crc32(content).to_le_bytes();
        // A file with content; with a CRC; stored; made on Unix.
        let body = [&[2, 2, size, 4, size][..], &mode, &crc, &[0, 1, name.len() as u8], name.as_bytes()];
        bytes.extend(block(&body.concat()));
        bytes.extend(*content);
    }
    bytes.extend(block(&[5, 0, 0]));
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn file<'a>(name: &'a str, content: &'a [u8]) -> RarEntry<'a> {
    RarEntry { name, mode: FILE, content }
}

/// Returns whether `bsdtar` is installed. If not, notes that the test is skipped.
fn has_bsdtar() -> bool {
    let found = Command::new("bsdtar").arg("--version").output().is_ok();
    if !found {
        pipe_testkit::skip("no `bsdtar`, which reads rar files");
    }
    found
}

#[test]
fn rar_archives_are_read_and_checked() {
    let made = || [file("Biking/v_Biking_g01_c01.avi", b"a video"), file("a list (1).txt", b"1 Biking\n")];
    if !has_bsdtar() {
        refused(&rar4(&made()), plain(), "can't start `bsdtar`");
        return;
    }
    let expect: &[(&str, &[u8])] = &[("Biking/v_Biking_g01_c01.avi", b"a video"), ("a list (1).txt", b"1 Biking\n")];
    for rar in [rar4, rar5] {
        let good = rar(&made());
        check(&good, plain(), expect);
        refused(&rar(&[file("../evil", b"x")]), plain(), "\"../evil\" has a path that leads out of the folder");
        refused(&rar(&[file("/etc/evil", b"x")]), plain(), "is absolute");
        refused(&rar(&[file("a", b"x"), file("A", b"x")]), plain(), "differs from \"a\" only in case");
        // Cut in the last content, which 7 or 8 bytes of the end marker follow.
        refused(&good[..good.len() - 10], plain(), "is damaged or incomplete");
    }
    let link = RarEntry { name: "link", mode: LINK, content: b"/etc" };
    refused(&rar4(&[link, file("link/passwd", b"x")]), plain(), "\"link\" is a symbolic link");
}
