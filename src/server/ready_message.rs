//! The message on standard output when the manager is ready: its address, and how to open the page from
//! other machines.

use reqwest::Url;
use std::io::Write;
use std::net::IpAddr;

use crate::domain::instances::LocalNetwork;

/// Prints the message. `url`: where the manager listens.
pub async fn print_ready(url: &str, has_users: bool) {
    let network = LocalNetwork::read().await;
    let text = message(
        url,
        has_users,
        network.addresses.first().copied().map(IpAddr::from),
    );
    // In one piece, because a program that starts jd-manager may close its end after the first line.
    let _ = std::io::stdout().write_all(format!("{text}\n").as_bytes());
}

/// `own`: an address of this machine that others reach.
fn message(url: &str, has_users: bool, own: Option<IpAddr>) -> String {
    let ready = format!("jd-manager is ready: {url}");
    let Ok(parsed) = Url::parse(url) else {
        return ready;
    };
    let host: Option<IpAddr> = parsed
        .host_str()
        .and_then(|host| host.trim_matches(['[', ']']).parse().ok());
    let port = parsed.port_or_known_default().unwrap_or_default();
    match (host, own) {
        (Some(host), _) if host.is_loopback() => {
            let setup = if has_users { "" } else { "--setup " };
            let code = if has_users {
                ""
            } else {
                " It then prints a code for creating the first user in the browser."
            };
            format!(
                "{ready}\nOnly this machine can open the page. To open it from other machines, start jd-manager with {setup}--listen 0.0.0.0:{port}.{code}"
            )
        }
        (Some(host), Some(own)) if host.is_unspecified() => {
            let scheme = parsed.scheme();
            format!("{ready}\nOn other machines, open {scheme}://{own}:{port}/")
        }
        _ => ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_other_machines_open_the_page() {
        let own = Some("192.0.2.7".parse().unwrap());
        let first = message("http://127.0.0.1:3000/", false, own);
        assert!(
            first.starts_with("jd-manager is ready: http://127.0.0.1:3000/\n"),
            "{first}"
        );
        assert!(
            first.contains("with --setup --listen 0.0.0.0:3000. It then prints a code"),
            "{first}"
        );
        let later = message("http://[::1]:80/", true, own);
        assert!(later.ends_with("with --listen 0.0.0.0:80."), "{later}");
        let open = message("https://0.0.0.0:3443/", true, own);
        assert!(
            open.ends_with("\nOn other machines, open https://192.0.2.7:3443/"),
            "{open}"
        );
        assert_eq!(
            message("http://0.0.0.0:3000/", true, None),
            "jd-manager is ready: http://0.0.0.0:3000/"
        );
        let named = message("http://192.0.2.7:3000/", true, own);
        assert_eq!(named, "jd-manager is ready: http://192.0.2.7:3000/");
    }
}
