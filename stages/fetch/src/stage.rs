//! [`Fetch`]: downloads all files, then unpacks them.

use crate::archive::Unpacker;
use crate::download::{Download, Downloader, RetryPolicy};
use crate::tree::OutputTree;
use pipe_schemas::stages::fetch::{CONTRACT, FetchParams};
use pipe_stage::{Context, Stage, StageError, Summary, grouped};

/// The stage `fetch`.
pub struct Fetch;

impl Stage for Fetch {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        fetch(context, RetryPolicy::default())
    }
}

/// Downloads all files before unpacking any, so that missing files are reported first.
pub(crate) fn fetch(context: &Context, retry: RetryPolicy) -> Result<Summary, StageError> {
    let params: FetchParams = context.params()?;
    let downloader = Downloader::new(context, retry, params.max_bytes);
    let mut downloads: Vec<(Download, String)> = Vec::new();
    for file in &params.files {
        downloads.push((downloader.get(file)?, file.target(params.unpack)));
    }
    let mut tree = OutputTree::new(context, context.output(CONTRACT.outputs[0].path)?, &params);
    let size_bytes: u64 = downloads.iter().map(|(download, _)| download.size_bytes).sum();
    for (download, path) in &downloads {
        if let Some(digest) = &download.unchecked {
            context.warn(format!(
                "{} has no digest to verify it with; to pin this content, set sha256: {digest}",
                download.url
            ));
        }
        if params.unpack {
            Unpacker::new(context, &params, &mut tree).unpack(&download.url, &download.path, path)?;
        }
    }
    // Last, so that a run after a failure does not download again.
    for (download, path) in &downloads {
        if !params.unpack {
            tree.put(&download.url, &download.path, path)?;
        }
    }
    let num_downloads = downloads.len();
    downloads.into_iter().try_for_each(|(download, _)| download.finish())?;
    Ok(summary(num_downloads, size_bytes, params.unpack, tree.counts()))
}

fn summary(num_downloads: usize, size_bytes: u64, unpack: bool, (num_files, unpacked_bytes): (u64, u64)) -> Summary {
    let megabytes = |bytes: u64| grouped(bytes.div_ceil(1_000_000));
    let files = |count: u64| format!("{} {}", grouped(count), if count == 1 { "file" } else { "files" });
    let downloaded = format!("{} downloaded, {} MB", files(num_downloads as u64), megabytes(size_bytes));
    Summary::line(if unpack {
        format!("{downloaded}; {} unpacked, {} MB", files(num_files), megabytes(unpacked_bytes))
    } else {
        downloaded
    })
}
