//! TPC-H data as Parquet files, made once.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use datafusion::arrow::record_batch::RecordBatchReader;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use tpchgen::csv::LineItemCsv;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

use crate::Result;

/// Files that a table is split into for each unit of scale.
const FILES_PER_SCALE: f64 = 4.0;

/// The folder with lineitem and orders of a scale factor, as `lineitem/*.parquet` and `orders/*.parquet`.
pub(crate) fn tpch(data: &Path, scale: f64) -> Result<PathBuf> {
    let folder = data.join(format!("tpch-{scale}"));
    let finished = folder.join("finished");
    if finished.exists() {
        return Ok(folder);
    }
    eprintln!("making TPC-H data of scale {scale} in {}", folder.display());
    let parts = (scale * FILES_PER_SCALE).ceil().max(1.0) as i32;
    for part in 1..=parts {
        let lineitem = LineItemArrow::new(LineItemGenerator::new(scale, part, parts));
        write(&folder.join("lineitem"), part, lineitem)?;
        let orders = OrderArrow::new(OrderGenerator::new(scale, part, parts));
        write(&folder.join("orders"), part, orders)?;
    }
    File::create(finished)?;
    Ok(folder)
}

/// The tables of TPC-H.
pub(crate) const TABLES: [&str; 8] = [
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
];

/// The folder with all tables of a scale factor, each as `TABLE/*.parquet`.
pub(crate) fn all_of_tpch(data: &Path, scale: f64) -> Result<PathBuf> {
    let folder = tpch(data, scale)?;
    let finished = folder.join("all-finished");
    if finished.exists() {
        return Ok(folder);
    }
    let parts = (scale * FILES_PER_SCALE).ceil().max(1.0) as i32;
    for part in 1..=parts {
        let customer = CustomerArrow::new(CustomerGenerator::new(scale, part, parts));
        write(&folder.join("customer"), part, customer)?;
        let parts_sold = PartArrow::new(PartGenerator::new(scale, part, parts));
        write(&folder.join("part"), part, parts_sold)?;
        let partsupp = PartSuppArrow::new(PartSuppGenerator::new(scale, part, parts));
        write(&folder.join("partsupp"), part, partsupp)?;
        let supplier = SupplierArrow::new(SupplierGenerator::new(scale, part, parts));
        write(&folder.join("supplier"), part, supplier)?;
    }
    let nation = NationArrow::new(NationGenerator::new(scale, 1, 1));
    write(&folder.join("nation"), 1, nation)?;
    let region = RegionArrow::new(RegionGenerator::new(scale, 1, 1));
    write(&folder.join("region"), 1, region)?;
    File::create(finished)?;
    Ok(folder)
}

/// Lineitem of a scale factor as one CSV file.
pub(crate) fn lineitem_csv(data: &Path, scale: f64) -> Result<PathBuf> {
    let file = data.join(format!("lineitem-{scale}.csv"));
    if file.exists() {
        return Ok(file);
    }
    eprintln!("making lineitem of scale {scale} as {}", file.display());
    let unfinished = file.with_extension("unfinished");
    let mut csv = BufWriter::new(File::create(&unfinished)?);
    writeln!(csv, "{}", LineItemCsv::header())?;
    for row in LineItemGenerator::new(scale, 1, 1) {
        writeln!(csv, "{}", LineItemCsv::new(row))?;
    }
    csv.into_inner()?.sync_all()?;
    std::fs::rename(unfinished, &file)?;
    Ok(file)
}

fn write(folder: &Path, part: i32, batches: impl RecordBatchReader) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = File::create(folder.join(format!("part-{part:04}.parquet")))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = ArrowWriter::try_new(file, batches.schema(), Some(properties))?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    writer.close()?;
    Ok(())
}
