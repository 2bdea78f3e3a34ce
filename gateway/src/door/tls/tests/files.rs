//! What is read from files: the errors and warnings, and the content key.

use std::os::unix::fs::PermissionsExt;

use rcgen::{KeyPair, date_time_ymd};

use super::*;

#[test]
fn a_bundle_without_certificates_is_refused() {
    let folder = Folder::new();
    let key = KeyPair::generate().expect("a key").serialize_pem();
    for (name, content) in [("empty.pem", ""), ("key.pem", &*key), ("text.pem", "no PEM at all\n")] {
        let path = folder.write(name, content);
        assert_eq!(
            ClientCa::load(&path).err(),
            Some(TlsError::NoClientCa { path }),
            "{name}"
        );
    }
    let mixed = authority("Good").as_ref().pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let path = folder.write("mixed.pem", &mixed);
    let error = ClientCa::load(&path).expect_err("refused");
    assert!(matches!(error, TlsError::Certificate { index: 2, .. }), "{error}");
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let folder = Folder::new();
    let (one, two) = (folder.pair("one", &["a.example"]), folder.pair("two", &["a.example"]));
    let paths = CertPaths {
        cert: one.paths.cert.clone(),
        key: two.paths.key.clone(),
    };
    let error = Certificates::load(std::slice::from_ref(&paths)).expect_err("refused");
    assert_eq!(
        error,
        TlsError::KeyMismatch {
            cert: paths.cert,
            key: paths.key.clone()
        }
    );
    // The right key, and the chain the wrong way round.
    let read = |path| std::fs::read_to_string(path).expect("a file");
    let chain = read(&one.paths.cert) + &read(&two.paths.cert);
    let cert = folder.write("chain.pem", &chain);
    let error = Certificates::load(&[CertPaths {
        cert: cert.clone(),
        key: paths.key.clone(),
    }]);
    assert_eq!(
        error.err(),
        Some(TlsError::ChainOrder {
            cert,
            key: paths.key,
            index: 2
        })
    );
}

#[test]
fn files_that_are_wrong_are_named() {
    let folder = Folder::new();
    let good = folder.pair("good", &["a.example"]).paths;
    let missing = folder.0.path().join("missing.pem");
    let empty = folder.write("empty.pem", "");
    let torn = folder.write("torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let junk = folder.write(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    );
    let large = folder.write("large.pem", &"x".repeat(PEM_FILE_BYTES as usize + 1));
    let locked = folder.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let bad_key = folder.write(
        "bad.key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let with_cert = |cert: &PathBuf| CertPaths {
        cert: cert.clone(),
        key: good.key.clone(),
    };
    let with_key = |key: &PathBuf| CertPaths {
        cert: good.cert.clone(),
        key: key.clone(),
    };
    type Is = fn(&TlsError) -> bool;
    let cases: [(CertPaths, &PathBuf, Is); 10] = [
        (with_cert(&missing), &missing, |error| {
            matches!(error, TlsError::Read { .. })
        }),
        (with_key(&missing), &missing, |error| {
            matches!(error, TlsError::Read { .. })
        }),
        (with_cert(&empty), &empty, |error| {
            matches!(error, TlsError::NoCertificate { .. })
        }),
        (with_cert(&good.key), &good.key, |error| {
            matches!(error, TlsError::NoCertificate { .. })
        }),
        (with_key(&empty), &empty, |error| {
            matches!(error, TlsError::NoKey { .. })
        }),
        (with_key(&good.cert), &good.cert, |error| {
            matches!(error, TlsError::NoKey { .. })
        }),
        (with_cert(&torn), &torn, |error| matches!(error, TlsError::Pem { .. })),
        (with_cert(&junk), &junk, |error| matches!(error, TlsError::Pem { .. })),
        (with_key(&locked), &locked, |error| {
            matches!(error, TlsError::EncryptedKey { .. })
        }),
        (with_key(&bad_key), &bad_key, |error| {
            matches!(error, TlsError::Key { .. })
        }),
    ];
    for (paths, file, is) in cases {
        let error = Certificates::load(&[paths]).expect_err("refused");
        assert!(is(&error), "{error:?}");
        assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
    }
    assert_eq!(
        Certificates::load(&[with_cert(&large)]).err(),
        Some(TlsError::TooLarge { path: large })
    );
    assert_eq!(Certificates::load(&[]).err(), Some(TlsError::Empty));
}

#[test]
fn errors_never_show_what_is_in_a_key_file() {
    let folder = Folder::new();
    let good = folder.pair("good", &["a.example"]).paths;
    let secret = "c2VjcmV0";
    for content in [
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}!\n-----END PRIVATE KEY-----\n"),
        format!("-----BEGIN PRIVATE KEY-----{secret}\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
    ] {
        let key = folder.write("secret.key", &content);
        let error = Certificates::load(&[CertPaths {
            cert: good.cert.clone(),
            key,
        }])
        .expect_err("refused");
        let said = format!("{error} {error:?}");
        // As text, and as the list of bytes that a derived Debug would show.
        assert!(!said.contains("c2Vj") && !said.contains("99, 50, 86, 106"), "{said}");
    }
}

#[test]
fn every_encoding_of_a_key_is_read() {
    let rsa = parse_test_key(include_str!("../rsa-test.key"));
    assert!(rsa.starts_with("RSA"), "PKCS#1: {rsa}");
    let pkcs8 = KeyPair::generate().expect("a key");
    assert!(parse_test_key(&pkcs8.serialize_pem()).starts_with("ECDSA"), "PKCS#8");
    // In PKCS#8 of P-256 the SEC1 structure is what follows the 27 bytes of version and algorithm.
    let der = pkcs8.serialize_der();
    let at = der
        .windows(2)
        .position(|pair| pair == [0x04, 0x6d])
        .expect("an octet string")
        + 2;
    let sec1 = pem_block("EC PRIVATE KEY", &der[at..]);
    assert!(parse_test_key(&sec1).starts_with("ECDSA"), "SEC1");
}

fn parse_test_key(pem: &str) -> String {
    let key = certificates::parse_key(Path::new("test.key"), pem.as_bytes(), &provider()).expect("a key");
    format!("{:?}", key.algorithm())
}

fn pem_block(kind: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for n in 0..4 {
            let six = ALPHABET[(bits >> (18 - 6 * n) & 63) as usize] as char;
            text.push(if n <= three.len() { six } else { '=' });
        }
    }
    format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
}

#[test]
fn dates_out_of_range_are_warnings() {
    let folder = Folder::new();
    let with = |file: &str, from: i32, until: i32| {
        folder.pair_with(file, &["a.example"], &rcgen::PKCS_ECDSA_P256_SHA256, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        })
    };
    let expired = with("expired", 2000, 2001);
    let certificates = load(&[&expired]).expect("loaded all the same");
    let [TlsWarning::Expired { path, expired: on }] = certificates.warnings() else {
        panic!("{:?}", certificates.warnings());
    };
    assert_eq!(*path, expired.paths.cert);
    assert!(on.contains("2001"), "{on}");
    shake(&serving(&[&expired]), &plain_client(), "a.example").expect("served all the same");
    let early = load(&[&with("early", 3000, 3001)]).expect("loaded all the same");
    assert!(
        matches!(early.warnings(), [TlsWarning::NotYetValid { .. }]),
        "{:?}",
        early.warnings()
    );
}

#[test]
fn a_certificate_without_names_is_a_warning() {
    let folder = Folder::new();
    let pair = folder.pair("a", &["192.0.2.1"]);
    let certificates = load(&[&pair]).expect("certificates");
    assert_eq!(
        certificates.warnings(),
        [TlsWarning::NoNames {
            path: pair.paths.cert.clone()
        }]
    );
}

#[test]
fn a_key_that_everybody_may_read_is_a_warning() {
    let folder = Folder::new();
    let pair = folder.pair("a", &["a.example"]);
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&pair.paths.key, PermissionsExt::from_mode(mode)).expect("set");
        let certificates = load(&[&pair]).expect("certificates");
        let expected = TlsWarning::KeyReadable {
            path: pair.paths.key.clone(),
            mode,
        };
        assert_eq!(certificates.warnings().contains(&expected), warned, "{mode:o}");
    }
}

#[test]
fn the_content_key_changes_with_the_content_and_the_order() {
    let folder = Folder::new();
    let (one, two) = (
        folder.pair("one", &["a.example"]).paths,
        folder.pair("two", &["b.example"]).paths,
    );
    let key = |pairs: &[CertPaths]| Certificates::content_key_of(pairs).expect("a key");
    let before = key(&[one.clone(), two.clone()]);
    assert_eq!(before, key(&[one.clone(), two.clone()]));
    let loaded = Certificates::load(&[one.clone(), two.clone()]).expect("certificates");
    assert_eq!(loaded.content_key(), before, "as if loaded");
    assert_ne!(before, key(&[two.clone(), one.clone()]));
    assert_ne!(before, key(std::slice::from_ref(&one)));
    folder.pair("two", &["b.example"]);
    assert_ne!(before, key(&[one, two]));
    assert_ne!(ContentKey::of([&b"ab"[..], b"c"]), ContentKey::of([&b"a"[..], b"bc"]));
}
