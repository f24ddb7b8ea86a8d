//! The `lakegate` binary: wiring, settings and printing.

mod arguments;
mod commands;
mod context;
mod demo;
mod error;
mod example;
mod output;
#[cfg(test)]
mod reference;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lakegate_engine::WORKER_STACK_BYTES;

use crate::arguments::{Arguments, Format};
use crate::commands::{Command, INVALID};
use crate::context::Context;
use crate::error::CliError;
use crate::output::Output;

/// Exit code after a signal that asks to stop: 128 and the signal's number, as shells expect.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_arguments(&error),
    };
    let output = Arc::new(Output::new(arguments.format()));
    let code = match run(arguments, &output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit_code
        }
    };
    ExitCode::from(code)
}

/// Help goes to stdout, as does the version. What is wrong with arguments is an error as any other.
fn not_arguments(error: &clap::Error) -> ExitCode {
    let words = std::env::args();
    if !error.use_stderr() || arguments::format_of_words(words) == Format::Text {
        error.exit();
    }
    let text = error.render().to_string();
    let message = text.trim_start_matches("error: ").trim_end();
    let output = Output::new(Format::Json);
    output.error(&CliError::new(message));
    ExitCode::from(INVALID)
}

fn run(arguments: Arguments, output: &Arc<Output>) -> Result<u8, CliError> {
    let context = Context::new(&arguments, Arc::clone(output))?;
    let hint = match arguments.command {
        Command::Run(_) | Command::Demo(_) => {
            "what was published is complete, nothing else was; run it again to go on from there"
        }
        _ => "every table is as it was, or as a whole commit left it",
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(WORKER_STACK_BYTES)
        .build()
        .map_err(|error| CliError::failed("cannot start worker threads", &error))?;
    // Signals are heard here also while every worker is busy with something that does not pause.
    let listening = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("cannot listen to signals", &error))?;
    // A server stops by itself; another signal ends it as it does others.
    let first_signal = match arguments.command {
        Command::Serve(_) => Some(context.stop.clone()),
        _ => None,
    };
    // The command runs on a worker: the main thread's stack is as large as the system wants.
    let mut command = runtime.spawn(commands::run(context, arguments.command));
    let abort = command.abort_handle();
    let result = listening.block_on(async {
        if let Some(stop) = first_signal {
            tokio::select! {
                result = &mut command => return result,
                _ = asked_to_stop() => stop.cancel(),
            }
        }
        tokio::select! {
            result = command => result,
            code = asked_to_stop() => {
                abort.abort();
                Ok(Err(CliError::new("interrupted")
                    .with_hint(hint)
                    .with_exit_code(code)))
            }
        }
    });
    let printed = output.finish();
    // Work that Ctrl-C left behind holds no table: a commit is made whole or not at all.
    runtime.shutdown_background();
    let code = result.unwrap_or_else(|error| Err(CliError::bug(&error.to_string())))?;
    printed?;
    Ok(code)
}

/// Ends with the first Ctrl-C or `SIGTERM`; returns the exit code for it. Where signals cannot be
/// listened to, the system's own way applies.
async fn asked_to_stop() -> u8 {
    tokio::select! {
        () = interrupted() => INTERRUPTED,
        () = terminated() => TERMINATED,
    }
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
