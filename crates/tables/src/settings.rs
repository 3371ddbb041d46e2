//! Fixed settings of the Parquet writer, so that equal rows give equal bytes.

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

/// Rows per row group of tables with small rows.
pub(crate) const ROW_GROUP_ROWS: usize = 65_536;

/// Returns the settings of all tables. `created_by` is constant; otherwise each release of the library would change all digests.
pub(crate) fn properties(table: &str, version: u32) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by("pipe".to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(vec![
            KeyValue::new("pipe.table".to_owned(), table.to_owned()),
            KeyValue::new("pipe.table_version".to_owned(), version.to_string()),
        ]))
}
