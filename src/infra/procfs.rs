//! Reads CPU time, memory, threads and open files of a process from the kernel.
//!
//! Source: `/proc/PID` (proc(5)). Stateless. Blocking, but without disk access: about 50 µs per
//! process.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// A reading of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessReading {
    /// CPU time of all threads since the start, user and system mode, without children.
    pub cpu_time: Duration,
    /// Physical memory in bytes, including shared pages. Linux 6.2 to 6.16 count approximately: on
    /// many cores the value may be a few MiB behind.
    pub rss_bytes: u64,
    /// Private writable memory in bytes, used or reserved. The kernel applies the memory limit
    /// (`RLIMIT_DATA`) to it.
    pub private_bytes: u64,
    /// The number of threads.
    pub threads: u32,
    /// The number of open files and sockets; `None` without permission.
    pub open_files: Option<u32>,
    /// The start time in clock ticks since boot. Together with the id it identifies the process,
    /// because ids are reused.
    pub started_ticks: u64,
    /// The limit of open files and sockets (soft limit); `None` without limit or permission.
    pub open_files_limit: Option<u64>,
}

/// Reads the process `pid`. A zombie process is also read, without memory.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if the process does not exist; [`io::ErrorKind::InvalidData`] if
/// `/proc` does not match proc(5).
pub fn process(pid: u32) -> io::Result<ProcessReading> {
    let read =
        |file: &str| fs::read(format!("/proc/{pid}/{file}")).map_err(|e| gone(&e).unwrap_or(e));
    let foreign = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the values in /proc/{pid} do not match proc(5)"),
        )
    };
    let stat = ProcessStat::parse(&read("stat")?, rustix::param::clock_ticks_per_second())
        .ok_or_else(foreign)?;
    // `stat` also contains the memory, but only approximately: it may be zero for a small process.
    let (rss_bytes, private_bytes) =
        memory(&read("statm")?, rustix::param::page_size() as u64).ok_or_else(foreign)?;
    let ProcessStat {
        cpu_time,
        threads,
        started_ticks,
    } = stat;
    Ok(ProcessReading {
        cpu_time,
        rss_bytes,
        private_bytes,
        threads,
        open_files: open_files(pid),
        started_ticks,
        open_files_limit: open_files_limit(pid),
    })
}

/// If a process exits between opening and reading its file, the error is ESRCH, which has no separate
/// [`io::ErrorKind`].
fn gone(error: &io::Error) -> Option<io::Error> {
    let code = error.raw_os_error()?;
    (code == rustix::io::Errno::SRCH.raw_os_error()).then(|| io::ErrorKind::NotFound.into())
}

/// The values from `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct ProcessStat {
    cpu_time: Duration,
    threads: u32,
    started_ticks: u64,
}

impl ProcessStat {
    /// Parses the file. The name in it may contain spaces, parentheses, newlines and bytes that are
    /// not UTF-8.
    fn parse(stat: &[u8], ticks_per_second: u64) -> Option<Self> {
        let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) counts from 1, and the first field after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)?.checked_add(field(15)?)?;
        // The remainder is less than one second, so it fits.
        let nanos = (ticks % ticks_per_second) * 1_000_000_000 / ticks_per_second;
        Some(Self {
            cpu_time: Duration::from_secs(ticks / ticks_per_second) + Duration::from_nanos(nanos),
            threads: u32::try_from(field(20)?).ok()?,
            started_ticks: field(22)?,
        })
    }
}

/// The second and the sixth number of `/proc/PID/statm` in bytes: resident memory, and data plus
/// stack.
fn memory(statm: &[u8], page_size: u64) -> Option<(u64, u64)> {
    let pages: Vec<&str> = std::str::from_utf8(statm)
        .ok()?
        .split_ascii_whitespace()
        .collect();
    let bytes = |at: usize| pages.get(at)?.parse::<u64>().ok()?.checked_mul(page_size);
    Some((bytes(1)?, bytes(5)?))
}

/// Since Linux 6.2 the size of the directory is the number of open files, so it need not be listed.
fn open_files(pid: u32) -> Option<u32> {
    let path = format!("/proc/{pid}/fd");
    // Listing requires permission, so the directory is always opened.
    let mut entries = fs::read_dir(&path).ok()?;
    let counted = match fs::metadata(&path).map(|about| about.size()) {
        Ok(size) if size > 0 => usize::try_from(size).ok()?,
        _ => entries.by_ref().count(),
    };
    // The listing itself is an open file of this process.
    let counted = counted.saturating_sub(usize::from(pid == std::process::id()));
    u32::try_from(counted).ok()
}

fn open_files_limit(pid: u32) -> Option<u64> {
    soft_limit(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

/// The soft limit of open files in the text of `/proc/PID/limits`.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The CPU usage of a process between two readings of the same process id, as a percentage of one core: two
/// busy threads are 200.
///
/// Each reading has a time since any fixed point. `None` if the id belongs to another process now, or
/// if no time has passed. Never negative. The kernel counts in ticks of usually 10 ms: over 10 s the
/// value is accurate to about 0.1.
pub fn cpu_percent(
    before: &(Duration, ProcessReading),
    after: &(Duration, ProcessReading),
) -> Option<f64> {
    let ((earlier, before), (later, after)) = (before, after);
    let passed = later
        .checked_sub(*earlier)
        .filter(|passed| !passed.is_zero())?;
    let same = before.started_ticks == after.started_ticks;
    same.then(|| {
        after.cpu_time.saturating_sub(before.cpu_time).as_secs_f64() / passed.as_secs_f64() * 100.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    /// A child process that is killed at the end of the test.
    struct Held(Child);

    impl Held {
        fn shell(script: &str) -> Self {
            Self(
                Command::new("sh")
                    .args(["-c", script])
                    .stdin(Stdio::null())
                    .spawn()
                    .unwrap(),
            )
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn line(name: &str) -> String {
        format!(
            "77 ({name}) S 1 77 77 0 -1 4194560 100 0 0 0 150 7 9 9 20 0 12 0 4711 99999999 321 18446744073709551615 1 1\n"
        )
    }

    #[test]
    fn a_name_cannot_pretend_to_be_figures() {
        let told = Some(ProcessStat {
            cpu_time: Duration::from_millis(1570),
            threads: 12,
            started_ticks: 4711,
        });
        for name in ["sh", "a b", "x) R 1 2 3 (y", ") ) )", "((", "", "a\nb"] {
            assert_eq!(
                ProcessStat::parse(line(name).as_bytes(), 100),
                told,
                "{name:?}"
            );
        }
        let mut no_text = line("@").into_bytes();
        no_text[4] = 0xff;
        assert_eq!(ProcessStat::parse(&no_text, 100), told);
    }

    #[test]
    fn a_cut_or_foreign_text_is_refused() {
        let whole = line("sh");
        assert_eq!(ProcessStat::parse(b"", 100), None);
        assert_eq!(
            ProcessStat::parse(&whole.as_bytes()[..whole.find("4711").unwrap()], 100),
            None
        );
        assert_eq!(
            ProcessStat::parse(whole.replace(" 150 ", " -1 ").as_bytes(), 100),
            None
        );
        assert_eq!(
            ProcessStat::parse(
                whole.replace(" 150 ", " 18446744073709551615 ").as_bytes(),
                100
            ),
            None
        );
        assert_eq!(
            memory(b"5000 321 200 1 0 900 0\n", 4096),
            Some((321 * 4096, 900 * 4096))
        );
        for foreign in ["", "5000", "5000 many", "5000 18446744073709551615"] {
            assert_eq!(memory(foreign.as_bytes(), 4096), None, "{foreign}");
        }
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let text = |soft: &str| {
            format!(
                "Limit  Soft Limit Hard Limit Units\nMax open files            {soft} 4096 files\nMax nice 0 0\n"
            )
        };
        assert_eq!(soft_limit(&text("1024")), Some(1024));
        assert_eq!(soft_limit(&text("unlimited")), None);
        assert_eq!(soft_limit("Max nice 0 0"), None);
    }

    #[test]
    fn our_own_process_is_read() {
        let before = process(std::process::id()).unwrap();
        assert!(
            before.rss_bytes > 100_000 && before.threads >= 1 && before.started_ticks > 0,
            "{before:?}"
        );
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert_eq!(before.open_files_limit, limit);
    }

    #[test]
    fn open_files_of_another_process_are_counted() {
        let child = Held::shell(
            "exec 2>/dev/null 3</dev/null 4</dev/null 5</dev/null; echo; while :; do :; done",
        );
        let id = child.0.id();
        let listed = || fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
        let counted = || process(id).unwrap().open_files.map(|n| n as usize);
        // The process opens the files between the two readings.
        let deadline = Instant::now() + Duration::from_secs(10);
        while (listed() < 6 || counted() != Some(listed())) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(counted(), Some(listed()));
    }

    #[test]
    fn a_busy_child_uses_processor_time_and_an_ended_one_is_not_found() {
        let mut child = Held::shell("while :; do :; done");
        let id = child.0.id();
        let began = Instant::now();
        let first = (began.elapsed(), process(id).unwrap());
        // On a busy machine the process may have to wait for the CPU.
        let busy = loop {
            std::thread::sleep(Duration::from_millis(200));
            let next = (began.elapsed(), process(id).unwrap());
            let percent = cpu_percent(&first, &next).unwrap();
            if percent > 5.0 || began.elapsed() > Duration::from_secs(20) {
                break percent;
            }
        };
        assert!(busy > 5.0 && busy < 120.0, "{busy}");
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert_eq!(process(id).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_dead_child_nobody_waited_for_can_still_be_read() {
        let child = Held::shell("exit 0");
        let id = child.0.id();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !fs::read_to_string(format!("/proc/{id}/stat"))
            .unwrap()
            .contains(") Z ")
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(process(id).unwrap().rss_bytes, 0);
    }

    #[test]
    fn percent_is_of_one_core_and_only_of_the_same_process() {
        let read = |cpu_ms: u64, started_ticks: u64| ProcessReading {
            cpu_time: Duration::from_millis(cpu_ms),
            rss_bytes: 1,
            private_bytes: 1,
            threads: 1,
            open_files: None,
            started_ticks,
            open_files_limit: None,
        };
        let at = |ms: u64, process: ProcessReading| (Duration::from_millis(ms), process);
        let between = |after| cpu_percent(&at(1000, read(500, 9)), &after);
        assert_eq!(between(at(3000, read(1000, 9))), Some(25.0));
        assert_eq!(between(at(2000, read(3500, 9))), Some(300.0));
        assert_eq!(between(at(2000, read(500, 9))), Some(0.0));
        assert_eq!(between(at(2000, read(400, 9))), Some(0.0), "never negative");
        assert_eq!(between(at(2000, read(900, 10))), None, "another process");
        assert_eq!(between(at(1000, read(900, 9))), None, "no time has passed");
        assert_eq!(between(at(999, read(900, 9))), None, "time went back");
    }
}
