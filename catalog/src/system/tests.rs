use datafusion::arrow::datatypes::DataType;
use serde_json::json;

use super::*;
use crate::fixture::{Fixture, noon, open, query, session};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn run(number: usize) -> Value {
    json!({"run": format!("run {number}"), "pipeline": "flights", "started_at": "2025-11-20T12:00:00Z", "stages": number,
           "parameters": {"delivery": "data/a.zip"}})
}

async fn runs(fixture: &Fixture) -> String {
    let scan = fixture.snapshot("lakegate.runs").await.scan().unwrap();
    query(
        scan,
        "SELECT count(*) AS n, count(DISTINCT run) AS runs, sum(stages) AS stages FROM t",
    )
    .await
}

/// A row of which nothing but the first text is known.
fn first_text_of(table: SystemTable) -> Value {
    let schema = table.schema();
    let mut fields = schema.fields().iter();
    let text = fields.find(|field| *field.data_type() == DataType::Utf8);
    json!({ text.unwrap().name(): "r" })
}

#[tokio::test]
async fn rows_of_every_table_are_flushed_with_their_types() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), DAY);
    for table in SystemTable::ALL {
        assert_eq!(table.as_str().parse::<SystemTable>().unwrap(), table);
        system
            .append(table, vec![first_text_of(table)])
            .await
            .unwrap();
    }
    system.flush(&session()).await.unwrap();
    for table in SystemTable::ALL {
        let snapshot = fixture.snapshot(&table.name().to_string()).await;
        assert_eq!(snapshot.row_count(), Some(1));
        let columns = |schema: &SchemaRef| -> Vec<_> {
            schema
                .fields()
                .iter()
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect()
        };
        assert_eq!(columns(&snapshot.schema), columns(&table.schema()));
    }
    assert!("jobs".parse::<SystemTable>().is_err());
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_when_they_are_appended() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), DAY);
    for (row, expected) in [
        (json!({"rum": "r"}), "has no column `rum`"),
        (json!("r"), "is not an object"),
        (json!({"stages": "many"}), "does not fit column `stages`"),
        (
            json!({"started_at": "noon"}),
            "does not fit column `started_at`",
        ),
    ] {
        let error = system
            .append(SystemTable::Runs, vec![run(1), row])
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    system.flush(&session()).await.unwrap();
    assert!(
        fixture.catalog.list().await.unwrap().is_empty(),
        "a refused row left something behind"
    );
}

#[tokio::test]
async fn a_row_that_does_not_fit_does_not_hold_up_the_others() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), DAY);
    system
        .append(SystemTable::Runs, vec![run(1), run(2)])
        .await
        .unwrap();
    for row in [r#"{"stages": "many"}"#, "no json"] {
        sqlx::query("INSERT INTO live_rows (table_name, row) VALUES ('runs', ?1)")
            .bind(row)
            .execute(fixture.catalog.live().pool())
            .await
            .unwrap();
    }
    system.flush(&session()).await.unwrap();
    assert_eq!(fixture.snapshot("lakegate.runs").await.row_count(), Some(2));
    system.flush(&session()).await.unwrap();
}

#[tokio::test]
async fn a_table_that_cannot_be_written_does_not_hold_up_the_others() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), DAY);
    let folder = fixture.folder.path().join("warehouse/lakegate/runs");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(&folder, "a file in the place of the folder").unwrap();
    for table in SystemTable::ALL {
        system
            .append(table, vec![first_text_of(table)])
            .await
            .unwrap();
    }
    system.flush(&session()).await.unwrap_err();
    assert_eq!(
        fixture.snapshot("lakegate.stages").await.row_count(),
        Some(1)
    );
    std::fs::remove_file(&folder).unwrap();
    system.flush(&session()).await.unwrap();
    assert_eq!(fixture.snapshot("lakegate.runs").await.row_count(), Some(1));
}

#[tokio::test]
async fn a_flush_that_died_after_its_commit_is_not_repeated() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), DAY);
    system
        .append(SystemTable::Runs, vec![run(1), run(2)])
        .await
        .unwrap();
    // A kill between commit and forgetting: the rows are in both places.
    let group = system.claim(SystemTable::Runs).await.unwrap().unwrap();
    system
        .commit(&session(), SystemTable::Runs, &group)
        .await
        .unwrap();
    system
        .append(SystemTable::Runs, vec![run(3)])
        .await
        .unwrap();
    let after = SystemTables::new(open(&fixture.folder).await, DAY);
    after.flush(&session()).await.unwrap();
    assert!(
        runs(&fixture).await.contains("| 3 | 3    | 6      |"),
        "{}",
        runs(&fixture).await
    );
}

#[tokio::test]
async fn a_flush_that_died_before_its_commit_is_finished() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), DAY);
    system
        .append(SystemTable::Runs, vec![run(1)])
        .await
        .unwrap();
    system.claim(SystemTable::Runs).await.unwrap().unwrap();
    system.flush(&session()).await.unwrap();
    assert!(runs(&fixture).await.contains("| 1 | 1    | 1      |"));
}

#[tokio::test]
async fn two_processes_may_flush_at_once() {
    let fixture = Fixture::new().await;
    let mut tasks = Vec::new();
    for process in 0..3 {
        let system = SystemTables::new(open(&fixture.folder).await, DAY);
        tasks.push(async move {
            for number in 0..2 {
                system
                    .append(SystemTable::Runs, vec![run(process * 10 + number)])
                    .await
                    .unwrap();
                system.flush(&session()).await.unwrap();
            }
        });
    }
    futures::future::join_all(tasks).await;
    let text = runs(&fixture).await;
    assert!(text.contains("| 6 | 6    | 63     |"), "{text}");
}

#[tokio::test]
async fn many_small_files_are_compacted() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), DAY);
    for number in 0..=MAX_FILES {
        system
            .append(SystemTable::Runs, vec![run(number)])
            .await
            .unwrap();
        system.flush(&session()).await.unwrap();
    }
    assert_eq!(fixture.snapshot("lakegate.runs").await.files.len(), 1);
    assert!(
        runs(&fixture).await.contains("| 33 | 33   |"),
        "{}",
        runs(&fixture).await
    );
}

#[tokio::test]
async fn samples_are_deleted_when_they_are_old() {
    let fixture = Fixture::new().await;
    let system = SystemTables::new(Arc::clone(&fixture.catalog), 2 * DAY);
    let sample = |days: i64| {
        let judged_at = noon() - TimeDelta::days(days);
        json!({"run": days.to_string(), "judged_at": judged_at.to_rfc3339(), "key": {"id": days}})
    };
    for days in [3, 1, 2] {
        system
            .append(SystemTable::Samples, vec![sample(days)])
            .await
            .unwrap();
    }
    system.flush(&session()).await.unwrap();
    let scan = fixture.snapshot("lakegate.samples").await.scan().unwrap();
    let text = query(scan, "SELECT run, key FROM t ORDER BY run").await;
    assert!(
        text.contains(r#"| 1   | {"id":1} |"#)
            && text.contains("| 2   |")
            && !text.contains("| 3   |"),
        "{text}"
    );
}
