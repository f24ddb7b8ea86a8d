//! A small project: orders by day into `silver.orders`, their totals into `gold.totals`.

use crate::support::Project;

const PIPELINE: &str = "version: 1
pipeline: orders
parameters:
  delivery: { type: string, default: data/1.csv }
stages:
  - name: raw
    extract: { path: \"${delivery}\", format: csv }
  - name: typed
    type: { view: raw, schema: schemas/orders.yaml, on_error: fail }
  - name: delivery
    check: { view: typed, rules: checks/delivery.yaml }
  - name: publish_orders
    publish: { view: typed, table: silver.orders, mode: append, partition_by: [day], rules: checks/orders.yaml }
  - name: totals
    sql:
      query: SELECT day, count(*) AS orders, sum(amount) AS amount FROM silver.orders GROUP BY day
  - name: publish_totals
    publish: { view: totals, table: gold.totals, mode: overwrite, rules: checks/totals.yaml }
";

const SCHEMA: &str = "version: 1
columns:
  - { name: id, type: bigint, nullable: false }
  - { name: customer, type: string }
  - { name: amount, type: \"decimal(12,2)\" }
  - { name: day, type: date }
";

const DELIVERY_RULES: &str = "version: 1
table: typed
table_checks:
  - row_count: { at_least: 1 }
";

const ORDER_RULES: &str = "version: 1
table: silver.orders
key: [id]
columns:
  id: [not_null]
  customer: [not_null]
  amount:
    - between: { min: 0 }
table_checks:
  - unique_key: [id]
";

const TOTAL_RULES: &str = "version: 1
table: gold.totals
columns:
  day: [not_null, unique]
";

/// Two deliveries of two days each; 1 has the orders 1 to 100, 2 the orders 101 to 200, `bad` repeats some of 1.
pub(crate) fn orders() -> Project {
    Project::of(&[
        ("pipelines/orders.yaml", PIPELINE),
        ("schemas/orders.yaml", SCHEMA),
        ("checks/delivery.yaml", DELIVERY_RULES),
        ("checks/orders.yaml", ORDER_RULES),
        ("checks/totals.yaml", TOTAL_RULES),
        ("data/1.csv", &delivery(1..=100)),
        ("data/2.csv", &delivery(101..=200)),
        (
            "data/bad.csv",
            &format!("{}500,,-7.00,2024-01-04\n", delivery(91..=110)),
        ),
    ])
}

fn delivery(ids: std::ops::RangeInclusive<u32>) -> String {
    let mut text = String::from("id,customer,amount,day\n");
    for id in ids {
        text.push_str(&format!(
            "{id},c{},{}.50,2024-01-{:02}\n",
            id % 7,
            id % 13,
            1 + (id - 1) / 50
        ));
    }
    text
}

impl Project {
    /// Runs the pipeline over one delivery.
    pub(crate) fn deliver(&self, delivery: &str) -> crate::support::Ran {
        self.run(&[
            "run",
            "orders",
            "--param",
            &format!("delivery=data/{delivery}.csv"),
        ])
    }
}
