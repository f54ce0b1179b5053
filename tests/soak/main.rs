//! The long proofs, which no ordinary run includes. `kills` (the default) takes about ten minutes
//! and is run by `scripts/soak`; it includes `translators`, and that includes `connections`, which
//! `scripts/bench` runs. `updates` builds two clients, which takes about half an hour on two cores,
//! and is run by `scripts/test --updates`. `lists` and `load` take the seconds after them as their
//! duration. `lists` is a part of `kills` with a minute; `scripts/bench` runs `load` and `hosts`.
//!
//! Prints a line for each proof and at the end `N passed, N failed`.

#![expect(clippy::unwrap_used, reason = "in a test it says what is expected")]

#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each test program uses the part it needs")]
mod harness;

mod connections;
mod hosts;
mod kills;
mod lists;
mod load;
#[path = "../heavy/ssh/sshd.rs"]
#[expect(dead_code, reason = "each test program uses the part it needs")]
mod sshd;
mod translators;
mod updates;

use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

struct Proofs {
    runtime: Runtime,
    passed: usize,
    failed: usize,
}

impl Proofs {
    fn run(&mut self, name: &str, proof: impl Future<Output = String> + Send + 'static) {
        let begun = Instant::now();
        // A task of its own, so that one that fails does not keep the others from running.
        match self.runtime.block_on(self.runtime.spawn(proof)) {
            Ok(figures) => {
                self.passed += 1;
                println!(
                    "ok     {name} ({:.0} s): {figures}",
                    begun.elapsed().as_secs_f64()
                );
            }
            Err(_) => {
                self.failed += 1;
                println!("FAILED {name} ({:.0} s)", begun.elapsed().as_secs_f64());
            }
        }
    }
}

fn prove_translators(proofs: &mut Proofs) {
    proofs.run(
        "50 × kill -9 of translators, keepers, the manager and pairs of them, 4 instances under load",
        translators::fifty_kills_of_translators_keepers_and_the_manager(),
    );
    prove_connections(proofs);
}

fn prove_connections(proofs: &mut Proofs) {
    proofs.run(
        "200 Stratum V1 connections on one instance",
        connections::two_hundred_stratum_v1_connections(),
    );
}

fn prove_lists(proofs: &mut Proofs, time: Duration) {
    proofs.run(
        "random changes and kills: lists from memory are those of the database",
        lists::the_list_is_that_of_the_database(time),
    );
}

fn prove_load(proofs: &mut Proofs, time: Duration) {
    proofs.run(
        "mixed load on 50 instances",
        load::mixed_load_on_fifty_instances(time),
    );
}

/// The duration after the name of a proof.
fn duration(name: &str, argument: Option<String>, default: u64) -> Duration {
    match argument.map_or(Ok(default), |text| text.parse()) {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            eprintln!("{name} needs its duration in seconds, for example: {name} {default}");
            std::process::exit(2);
        }
    }
}

fn main() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let mut proofs = Proofs {
        runtime,
        passed: 0,
        failed: 0,
    };
    // `cargo test --quiet` says so to every test program.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--quiet");
    match arguments.next().as_deref() {
        None | Some("kills") => {
            proofs.run(
                "50 × kill -9 of the manager, 3 clients at 1,000 lines/s each",
                kills::fifty_kills_of_the_manager(),
            );
            proofs.run(
                "20 × kill -9 of keepers, 10 clients at 1,000 lines/s each",
                kills::twenty_kills_of_keepers(),
            );
            proofs.run(
                "a minute of random orders and kills",
                kills::a_minute_of_everything_at_once(),
            );
            proofs.run(
                "shutdown with 20 instances, 3 of them stubborn",
                kills::twenty_instances_three_of_them_stubborn(),
            );
            prove_lists(&mut proofs, Duration::from_secs(60));
            prove_translators(&mut proofs);
        }
        Some("lists") => {
            let time = duration("lists", arguments.next(), 600);
            prove_lists(&mut proofs, time);
        }
        Some("load") => {
            let time = duration("load", arguments.next(), 3600);
            prove_load(&mut proofs, time);
        }
        Some("hosts") => proofs.run(
            "50 hosts with 10 instances each, over SSH",
            hosts::fifty_hosts_with_ten_instances(),
        ),
        Some("translators") => prove_translators(&mut proofs),
        Some("connections") => prove_connections(&mut proofs),
        Some("updates") => proofs.run(
            "from the registry to 0.5.0, to 0.6.0 and back",
            updates::from_the_registry_to_0_5_0_to_0_6_0_and_back(),
        ),
        Some(other) => {
            eprintln!(
                "unknown proof {other:?}: kills, lists, load, hosts, translators, connections or updates"
            );
            std::process::exit(2);
        }
    }
    println!("{} passed, {} failed", proofs.passed, proofs.failed);
    std::process::exit(i32::from(proofs.failed > 0));
}
