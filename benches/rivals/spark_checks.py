"""Runs one query over lineitem and orders with Spark: `spark_checks.py FOLDER QUERY.sql`."""

import os
import pathlib
import sys

from pyspark.sql import SparkSession

folder, query = sys.argv[1:]
cores = len(os.sched_getaffinity(0))
spark = (
    SparkSession.builder.master(f"local[{cores}]")
    .config("spark.driver.memory", "4g")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
for table in ("lineitem", "orders"):
    files = str(pathlib.Path(folder) / table)
    spark.read.parquet(files).createOrReplaceTempView(table)
text = pathlib.Path(query).read_text()
# Spark's names of the same functions.
for name, here in (("approx_quantile", "percentile_approx"), ("regexp_matches", "regexp_like")):
    text = text.replace(name, here)
print(spark.sql(text).collect())
