//! The demo: the main job on real flights, step by step, in a folder of its own.

mod damage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lakegate_catalog::{At, TableName, TableSnapshot};
use lakegate_engine::QueryOptions;
use lakegate_etl::{Lakegate, Outcome, Pipeline, RunOptions, RunReport};
use lakegate_rules::thousands;
use serde_json::{Value, json};

use crate::commands::run::{print_failures, print_run};
use crate::commands::{CHECK_FAILED, DONE};
use crate::context::Context;
use crate::error::CliError;
use crate::example::FLIGHTS;
use crate::output::{Progress, RowFormat, print_rows};

const FEBRUARY: &str = "data/flights-2013-02.zip";
const DAMAGED: &str = "data/flights-2013-02-damaged.csv";

const QUESTION: &str = "\
SELECT flight_date, origin, flights, cancelled, mean_departure_delay, share_late
FROM gold.daily_delays
ORDER BY mean_departure_delay DESC
LIMIT 10";

/// Shows the demo in `folder`, which has to be empty or absent.
pub(crate) async fn run(context: &Context, folder: &Path) -> Result<u8, CliError> {
    let root = context.path(folder);
    let files = FLIGHTS.write_to(&root).map_err(|error| {
        // A second demo on the same folder would have nothing to show: the deliveries are in.
        if error.exit_code == 2 {
            return error.with_hint(
                "delete the folder to see the demo again, or name another one: `lakegate demo DIR`",
            );
        }
        error
    })?;
    let folder = context.shown(folder);
    let context = context.for_project(root);
    let lakegate = context.open_to_write().await?;
    let demo = Demo {
        context: &context,
        lakegate: &lakegate,
        flights: "silver.flights".parse()?,
        folder,
    };
    Box::pin(demo.show(files.len())).await
}

struct Demo<'a> {
    context: &'a Context,
    lakegate: &'a Lakegate,
    flights: TableName,
    /// The folder as the user named it.
    folder: String,
}

impl Demo<'_> {
    async fn show(&self, files: usize) -> Result<u8, CliError> {
        self.say(&format!(
            "{files} files of the flights example are in {}.\n",
            self.folder
        ));

        self.heading("1. January: from the delivered zip to Delta tables, through the gate");
        let january = self.deliver(None).await?;
        if january.exit_code() != DONE {
            return Ok(self.stop(&january));
        }
        let after_january = self.snapshot().await?;
        self.say_state(&after_january);

        self.heading(
            "\n2. February, damaged: repeated rows, blanked carriers, impossible distances",
        );
        let damage = self.damage_february()?;
        self.say(&damage.to_text(DAMAGED));
        let damaged = self.deliver(Some(DAMAGED)).await?;
        let refused = damaged.stage("publish_flights").map(|stage| stage.outcome);
        let after_damaged = self.snapshot().await?;
        if refused != Some(Outcome::Refused) || !is_same(&after_january, &after_damaged) {
            return Err(CliError::bug(
                "the damaged delivery was not refused as a whole",
            ));
        }
        self.say("The damaged delivery was refused. silver.flights kept its version, its files and its rows:");
        self.say_state(&after_damaged);

        self.heading("\n3. February as it was really delivered");
        let february = self.deliver(Some(FEBRUARY)).await?;
        if february.exit_code() != DONE {
            return Ok(self.stop(&february));
        }
        let after_february = self.snapshot().await?;
        self.say_state(&after_february);

        self.heading("\n4. A question to the result");
        self.say(&format!("{QUESTION}\n"));
        self.ask().await?;
        self.go_on(
            &[january, damaged, february],
            [&after_january, &after_damaged, &after_february],
        )?;
        Ok(DONE)
    }

    /// Runs the pipeline over a delivery.
    async fn deliver(&self, delivery: Option<&str>) -> Result<RunReport, CliError> {
        let pipeline = Pipeline::load(self.lakegate.root(), "flights")?;
        let parameters = delivery.map(|path| ("delivery".to_owned(), path.to_owned()));
        let options = RunOptions {
            parameters: parameters.into_iter().collect::<BTreeMap<_, _>>(),
            ..RunOptions::default()
        };
        let with = delivery.map_or_else(String::new, |path| format!(" --param delivery={path}"));
        self.say(&format!(
            "$ lakegate -C {} run flights{with}\n",
            self.folder
        ));
        let progress = Progress::new(&self.context.output);
        let run = Box::pin(lakegate_etl::run(
            self.lakegate,
            &pipeline,
            options,
            progress,
        ))
        .await?;
        if !self.context.output.is_json() {
            print_run(&self.context.output, &run)?;
            self.say("");
        }
        Ok(run)
    }

    fn damage_february(&self) -> Result<damage::Damage, CliError> {
        let zip = FLIGHTS
            .file(FEBRUARY)
            .ok_or_else(|| CliError::bug("the delivery of February is not inside the binary"))?;
        let (csv, damage) = damage::damaged(zip)?;
        let path = self.context.path(Path::new(DAMAGED));
        std::fs::write(&path, csv).map_err(|error| {
            CliError::failed(format!("cannot write `{}`", path.display()), &error)
        })?;
        Ok(damage)
    }

    async fn snapshot(&self) -> Result<Arc<TableSnapshot>, CliError> {
        Ok(self
            .lakegate
            .catalog
            .snapshot(&self.flights, At::Latest)
            .await?)
    }

    async fn ask(&self) -> Result<(), CliError> {
        if self.context.output.is_json() {
            return Ok(());
        }
        let engine = &self.lakegate.engine;
        let result = Box::pin(engine.query(QUESTION, QueryOptions::default())).await?;
        let output = &self.context.output;
        print_rows(output, &result.schema, result.stream, RowFormat::Table).await?;
        Ok(())
    }

    /// Says what can be done next; as JSON, what was done.
    fn go_on(&self, runs: &[RunReport], states: [&Arc<TableSnapshot>; 3]) -> Result<(), CliError> {
        if self.context.output.is_json() {
            let steps: Vec<Value> = runs
                .iter()
                .zip(states)
                .map(|(run, state)| json!({ "run": run, "silver.flights": state_as_json(state) }))
                .collect();
            return self
                .context
                .output
                .json(&json!({ "folder": self.context.root, "steps": steps }));
        }
        let folder = &self.folder;
        let binary = std::env::current_exe();
        let binary = binary.map_or_else(
            |_| String::new(),
            |path| format!(" (lakegate is {})", path.display()),
        );
        self.heading(&format!("\nGo on with{binary}:"));
        self.say(&format!(
            "  lakegate -C {folder} catalog list
  lakegate -C {folder} catalog history silver.flights
  lakegate -C {folder} check silver.flights
  lakegate -C {folder} query \"SELECT count(*) FROM silver.flights\" --version 0
  lakegate -C {folder} query \"SELECT table_name, check_id, verdict, observed, bad_rows FROM lakegate.check_results WHERE verdict <> 'pass'\"
  lakegate -C {folder} plan flights
  lakegate explain exists_in"
        ));
        Ok(())
    }

    /// The run went wrong; what it says has been printed.
    fn stop(&self, run: &RunReport) -> u8 {
        print_failures(&self.context.output, run);
        self.say("The demo stops here: this run should have passed.");
        match run.exit_code() {
            DONE => CHECK_FAILED,
            code => code,
        }
    }

    fn say_state(&self, state: &TableSnapshot) {
        let rows = state.row_count().map_or_else(|| "?".to_owned(), thousands);
        let files = match state.files.len() {
            1 => "1 data file".to_owned(),
            count => format!("{count} data files"),
        };
        self.say(&format!(
            "silver.flights: version {}, {files}, {rows} rows",
            state.version
        ));
    }

    fn say(&self, text: &str) {
        if !self.context.output.is_json() {
            self.context.output.text(&format!("{text}\n"));
        }
    }

    fn heading(&self, text: &str) {
        if !self.context.output.is_json() {
            self.context.output.heading(&format!("{text}\n"));
        }
    }
}

/// Whether nothing of a table changed.
fn is_same(before: &TableSnapshot, after: &TableSnapshot) -> bool {
    let paths = |state: &TableSnapshot| -> Vec<String> {
        state.files.iter().map(|file| file.path.clone()).collect()
    };
    before.version == after.version
        && paths(before) == paths(after)
        && before.row_count() == after.row_count()
}

fn state_as_json(state: &TableSnapshot) -> Value {
    json!({ "version": state.version, "files": state.files.len(), "rows": state.row_count() })
}
