//! Tests the help texts and the shell completions.

use super::{program, run};

const COMMANDS: [&str; 8] = [
    "instances",
    "configs",
    "health",
    "miners",
    "node",
    "logs",
    "updates",
    "alerts",
];

#[test]
fn every_command_says_how_it_is_used_and_with_which_exit_code_it_ends() {
    let all = run(program(&["--help"])).well();
    for command in COMMANDS {
        assert!(
            all.lines()
                .any(|line| line.trim_start().starts_with(&format!("{command} "))),
            "{command}: {all}"
        );
        let help = run(program(&[command, "--help"])).well();
        assert!(
            help.contains("Example") && help.contains(&format!("jd-manager {command}")),
            "{help}"
        );
        for flag in ["--url", "--token-file", "--tls-ca", "--data-dir", "--json"] {
            assert!(help.contains(flag), "{command} says nothing of {flag}");
        }
        assert!(
            !help.contains("--token "),
            "a token has no place on the command line: {help}"
        );
        assert!(help.contains("Exit codes: 0"), "{help}");
    }
}

#[test]
fn shells_complete_what_is_offered_and_nothing_internal() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        // The help of the demo contains this word.
        let text = run(program(&["completions", shell]))
            .well()
            .replace("simulated", "");
        for word in COMMANDS.iter().chain(&[
            "restart",
            "autostart",
            "rollback",
            "serve",
            "backup",
            "completions",
        ]) {
            assert!(text.contains(word), "{shell} knows no {word}");
        }
        assert!(
            text.contains("follow") && text.contains("token-file") && text.contains("listen"),
            "{shell}"
        );
        for hidden in [
            "simulate",
            "jd-manager exec",
            "jd-manager keep",
            "jd-manager,trial",
            "Internal",
        ] {
            assert!(!text.contains(hidden), "{shell} offers {hidden}");
        }
    }
    assert_eq!(run(program(&["completions", "ksh"])).code, 2);
}
