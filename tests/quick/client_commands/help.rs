//! Tests the help texts, the shell completions and the manual pages.

use super::{program, run};

const COMMANDS: [&str; 9] = [
    "instances",
    "configs",
    "health",
    "hosts",
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

#[test]
fn every_offered_command_has_a_manual_page_with_the_text_of_its_help() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("share/man1");
    let target = pages.to_str().unwrap();
    // The second run replaces the pages.
    for _ in 0..2 {
        assert_eq!(run(program(&["man", target])).well(), "");
    }
    let mut names: Vec<String> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for command in COMMANDS {
        assert!(names.contains(&format!("jd-manager-{command}.1")));
    }
    for name in [
        "jd-manager.1",
        "jd-manager-instances-show.1",
        "jd-manager-man.1",
    ] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    for internal in ["keep", "exec", "trial", "simulate", "help"] {
        let prefix = format!("jd-manager-{internal}");
        assert!(!names.iter().any(|name| name.starts_with(&prefix)));
    }
    let page = std::fs::read_to_string(pages.join("jd-manager-healthcheck.1")).unwrap();
    assert!(
        page.contains("Check whether the running jd\\-manager is healthy"),
        "{page}"
    );
    assert!(page.contains("JD_MANAGER_LISTEN"), "{page}");

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = run(program(&["man", file.to_str().unwrap()])).wrong(1);
    assert!(error.contains("cannot write manual pages to"), "{error}");
}
