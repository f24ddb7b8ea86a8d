//! Runs a command and measures its time and its memory.

use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) seconds: f64,
    /// Processor time, user and system.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was resident, in bytes.
    pub(crate) peak_bytes: u64,
}

/// Clock ticks a second in `/proc`. proc(5).
const TICKS_PER_SECOND: f64 = 100.0;

/// Runs a command to its end. The kernel's own counters are read while it runs, every few milliseconds.
pub(crate) fn measure(program: &Path, arguments: &[&str]) -> Result<Usage> {
    // A pipe that nobody reads would stop a talkative command.
    let mut stderr = tempfile::tempfile()?;
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(stderr.try_clone()?)
        .spawn()?;
    let process = Path::new("/proc").join(child.id().to_string());
    let (mut peak_bytes, mut cpu_seconds) = (0, 0.0);
    let status = loop {
        if let Ok(text) = std::fs::read_to_string(process.join("status")) {
            peak_bytes = peak(&text).unwrap_or(peak_bytes);
        }
        if let Ok(text) = std::fs::read_to_string(process.join("stat")) {
            cpu_seconds = cpu(&text).unwrap_or(cpu_seconds);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        let mut message = String::new();
        stderr.rewind()?;
        stderr.read_to_string(&mut message)?;
        return Err(format!(
            "{} {} failed: {message}",
            program.display(),
            arguments.join(" ")
        )
        .into());
    }
    Ok(Usage {
        seconds,
        cpu_seconds,
        peak_bytes,
    })
}

/// `VmHWM` of `/proc/PID/status`, in bytes.
fn peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// `utime` and `stime` of `/proc/PID/stat`, in seconds.
fn cpu(stat: &str) -> Option<f64> {
    let after_name = stat.rsplit_once(") ")?.1;
    let mut fields = after_name.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}
