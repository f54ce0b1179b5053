use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::path::PathBuf;
use tar::{Builder, Header};

const MEMBER: &str = "jd-client/jd_client_sv2";
const TRANSLATOR: &str = "translator/translator_sv2";
/// Path in the header, kind, content.
type Entry<'a> = (&'a str, EntryType, &'a [u8]);
const LIMITS: ArchiveLimits = ArchiveLimits {
    file: 1 << 20,
    all: 4 << 20,
    entries: 20,
};

/// An archive with these entries.
fn archive(dir: &Path, entries: &[Entry<'_>]) -> PathBuf {
    let path = dir.join("a.tar.gz");
    let mut tar = Builder::new(GzEncoder::new(
        File::create(&path).unwrap(),
        Compression::fast(),
    ));
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        // Not `set_path`, which rejects such paths.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        if *kind == EntryType::Symlink || *kind == EntryType::Link {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    path
}

fn extract_client(archive: &Path, into: &Path) -> Result<Vec<Option<u64>>, ArchiveRefusal> {
    let wanted = MemberTarget {
        path: MEMBER,
        into,
        is_required: true,
    };
    extract(archive, &[wanted], LIMITS)
}

/// The client, and the translator if there is one.
fn tried_both(entries: &[Entry<'_>]) -> Result<(Vec<u8>, Option<Vec<u8>>), ArchiveRefusal> {
    let dir = tempfile::tempdir().unwrap();
    let (client, translator) = (dir.path().join("client"), dir.path().join("translator"));
    let wanted = [
        MemberTarget {
            path: MEMBER,
            into: &client,
            is_required: true,
        },
        MemberTarget {
            path: TRANSLATOR,
            into: &translator,
            is_required: false,
        },
    ];
    let sizes = extract(&archive(dir.path(), entries), &wanted, LIMITS)?;
    let content = std::fs::read(client).unwrap();
    assert_eq!(sizes[0], Some(content.len() as u64));
    let companion = std::fs::read(translator).ok();
    let size = companion.as_ref().map(|content| content.len() as u64);
    assert_eq!(sizes[1], size);
    Ok((content, companion))
}

fn tried(entries: &[Entry<'_>]) -> Result<Vec<u8>, ArchiveRefusal> {
    tried_both(entries).map(|(client, _)| client)
}

#[test]
fn the_one_file_comes_out_of_an_archive_as_releases_have_them() {
    let entries: &[Entry<'_>] = &[
        ("./", EntryType::Directory, b""),
        (
            "./translator/translator_sv2",
            EntryType::Regular,
            b"another",
        ),
        ("./jd-client/", EntryType::Directory, b""),
        (
            "./jd-client/jd_client_sv2",
            EntryType::Regular,
            b"the client",
        ),
        ("./jd-client/jdc-config.toml", EntryType::Regular, b"x = 1"),
    ];
    let both = tried_both(entries).unwrap();
    assert_eq!(both, (b"the client".to_vec(), Some(b"another".to_vec())));
    let plain: &[Entry<'_>] = &[("jd-client/jd_client_sv2", EntryType::Regular, b"")];
    assert_eq!(tried_both(plain).unwrap(), (Vec::new(), None));
}

#[test]
fn the_optional_file_has_the_limits_of_the_required_one() {
    let client = (
        "./jd-client/jd_client_sv2",
        EntryType::Regular,
        b"the client".as_slice(),
    );
    let name = "./translator/translator_sv2";
    let other = (name, EntryType::Regular, b"another".as_slice());
    let large = vec![0; (1 << 20) + 1];
    for (refused, entries) in [
        ("a link", vec![client, (name, EntryType::Symlink, b"")]),
        ("a hard link", vec![client, (name, EntryType::Link, b"")]),
        (
            "a directory",
            vec![client, (name, EntryType::Directory, b"")],
        ),
        ("twice", vec![other, client, other]),
        (
            "too large",
            vec![client, (name, EntryType::Regular, &large)],
        ),
        (
            "outside the archive",
            vec![client, ("translator/../../x", EntryType::Regular, b"x")],
        ),
    ] {
        assert!(
            matches!(tried(&entries), Err(ArchiveRefusal::Hostile(_))),
            "{refused}"
        );
    }
    // The optional file alone is not enough.
    assert!(matches!(tried(&[other]), Err(ArchiveRefusal::Absent(name)) if name == MEMBER));
}

#[test]
fn hostile_archives_are_refused() {
    let good = (
        "./jd-client/jd_client_sv2",
        EntryType::Regular,
        b"the client".as_slice(),
    );
    let cases: &[(&[Entry<'_>], &str)] = &[
        (
            &[("../../etc/cron.d/x", EntryType::Regular, b"evil"), good],
            "points outside the archive",
        ),
        (
            &[good, ("/etc/cron.d/x", EntryType::Regular, b"evil")],
            "points outside the archive",
        ),
        (
            &[("./jd-client/../../x", EntryType::Regular, b"evil"), good],
            "points outside the archive",
        ),
        (
            &[("./jd-client/jd_client_sv2", EntryType::Symlink, b"")],
            "is not a regular file",
        ),
        (
            &[("./jd-client/jd_client_sv2", EntryType::Link, b"")],
            "is not a regular file",
        ),
        (
            &[("./jd-client/jd_client_sv2", EntryType::Directory, b"")],
            "is not a regular file",
        ),
        (&[("./disk", EntryType::Block, b""), good], "is a device"),
        (&[good, good], "twice"),
        (
            &[(
                "./jd-client/jd_client_sv2",
                EntryType::Regular,
                &[0; (1 << 20) + 1],
            )],
            "the limit is",
        ),
        (
            &[("./elsewhere", EntryType::Regular, b"")],
            "does not contain",
        ),
        (
            &[("./a", EntryType::Regular, &[0; 5 << 20])],
            "unpacked size exceeds the limit",
        ),
    ];
    for (entries, says) in cases {
        let refused = tried(entries).unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
    }
    let many: Vec<(&str, EntryType, &[u8])> = vec![("./a", EntryType::Regular, b""); 30];
    assert!(
        tried(&many)
            .unwrap_err()
            .to_string()
            .contains("more than 20 entries")
    );
}

#[test]
fn a_name_given_by_an_extension_header_is_not_believed() {
    // A pax header that gives the next file the name of our member.
    let record = b"32 path=jd-client/jd_client_sv2\n";
    let entries: &[Entry<'_>] = &[
        ("./PaxHeaders/x", EntryType::XHeader, record),
        ("./other", EntryType::Regular, b"evil"),
    ];
    assert!(matches!(tried(entries), Err(ArchiveRefusal::Absent(_))));
}

#[test]
fn a_truncated_archive_is_damaged_wherever_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    // Content that does not compress.
    let content: Vec<u8> = (0..200_000u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    let path = archive(
        dir.path(),
        &[("./jd-client/jd_client_sv2", EntryType::Regular, &content)],
    );
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 1, 10, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let refused = extract_client(&path, &dir.path().join(format!("out-{cut}"))).unwrap_err();
        assert!(
            matches!(refused, ArchiveRefusal::Damaged(_)),
            "cut at {cut}: {refused}"
        );
    }
    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle] ^= 0xff;
    std::fs::write(&path, &flipped).unwrap();
    assert!(matches!(
        extract_client(&path, &dir.path().join("out")),
        Err(ArchiveRefusal::Damaged(_))
    ));
}

proptest::proptest! {
    #[test]
    fn bytes_of_any_kind_are_refused_or_unpacked_but_nothing_else(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        // Half of the time an invalid tar, correctly compressed.
        let mut gz = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        gz.write_all(&bytes).unwrap();
        gz.finish().unwrap();
        let _ = extract_client(&path, &dir.path().join("out"));
        std::fs::write(&path, &bytes).unwrap();
        let refused = extract_client(&path, &dir.path().join("out2"));
        proptest::prop_assert!(refused.is_err());
        proptest::prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().filter(|e| !e.as_ref().unwrap().file_name().to_str().unwrap().starts_with(['a', 'o'])).count(), 0);
    }
}
