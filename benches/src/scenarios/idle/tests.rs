use super::*;

/// The readings in turn, the last one for ever.
fn series(readings: &[u64]) -> impl FnMut() -> Result<u64, Error> {
    let mut at = 0;
    move || {
        let reading = readings[at.min(readings.len() - 1)];
        at += 1;
        Ok(reading)
    }
}

#[test]
fn memory_has_settled_when_it_stops_moving() {
    assert_eq!(steady(series(&[5 << 20])).unwrap(), 5 << 20);
    // It falls, pauses for less than is asked, falls again.
    let mut falling = vec![90 << 20, 50 << 20];
    falling.extend([40 << 20; STEADY_READINGS]);
    falling.push(10 << 20);
    assert_eq!(steady(series(&falling)).unwrap(), 10 << 20);
    // A little noise is no movement.
    let noise: Vec<u64> = (0..100).map(|step| (8 << 20) + step % 2 * 4096).collect();
    assert!(steady(series(&noise)).unwrap().abs_diff(8 << 20) <= 4096);
}

#[test]
fn memory_that_goes_on_growing_has_no_reading() {
    let mut now = 0;
    let grows = || {
        now += 2 * STEADY_BYTES;
        Ok(now)
    };
    assert!(matches!(steady(grows), Err(Error::Premise { .. })));
    // Slowly, too: each step is small, their sum is not.
    let mut now = 0;
    let creeps = || {
        now += STEADY_BYTES / 4;
        Ok(now)
    };
    assert!(matches!(steady(creeps), Err(Error::Premise { .. })));
    let gone = || Err(Error::Usage("gone".to_owned()));
    assert!(matches!(steady(gone), Err(Error::Usage(_))));
}

#[test]
fn what_came_with_the_connections_is_divided_by_them() {
    let readings = [30 << 20, 31 << 20, 35 << 20].map(|after| Reading {
        before: 25 << 20,
        after,
    });
    let row = row(Peer::Tidegate, &readings, 1024).unwrap();
    let each = row.kib_per_connection;
    assert_eq!((each.min, each.median, each.max), (5.0, 6.0, 10.0));
    assert_eq!((row.rss_before_mib.median, row.rss_after_mib.median), (25.0, 31.0));
    let shrunk = Reading {
        before: 2048,
        after: 1024,
    };
    assert_eq!(kib_each(shrunk, 1), -1.0);
    assert_eq!(super::row(Peer::Native, &[], 1), None);
}

#[test]
fn every_answer_must_be_the_same_greeting() {
    let answer = |status, body: &[u8]| Answer {
        status,
        body: body.to_vec(),
    };
    let mut agreed = None;
    agree(Peer::Tidegate, &mut agreed, answer(200, b"Hello you")).unwrap();
    agree(Peer::Native, &mut agreed, answer(200, b"Hello you")).unwrap();
    for wrong in [answer(200, b"Hello me"), answer(503, b"Hello you"), answer(200, b"")] {
        let error = agree(Peer::TidegateTls, &mut agreed, wrong).unwrap_err().to_string();
        assert!(error.contains("tidegate, TLS answered"), "{error}");
    }
    assert!(agree(Peer::Tidegate, &mut None, answer(200, b"Welcome")).is_err());
}

#[test]
fn the_listener_is_told_to_hold_the_connections() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hello.wasm"), b"").unwrap();
    let setup = Setup {
        guests: dir.path().to_owned(),
        idle_connections: 5000,
        ..super::super::tests::setup()
    };
    let address: SocketAddr = "127.0.0.1:20001".parse().unwrap();
    let identity = Identity::write(dir.path()).unwrap();
    let read = |peer: Peer| -> toml::Value {
        let spec = peer.spec(&setup, dir.path(), &identity, address, None).unwrap();
        assert_eq!(spec.cpu, Some(0));
        toml::from_str(&std::fs::read_to_string(&spec.args[1]).unwrap()).unwrap()
    };
    let plain = read(Peer::Tidegate);
    let expected: toml::Value = toml::from_str(
        r#"
        name = "public"
        address = "127.0.0.1:20001"
        limits = { connections = 5001, connections_per_address = 5001, idle_timeout = "30m" }
        "#,
    )
    .unwrap();
    assert_eq!(plain["listener"][0], expected);

    let encrypted = read(Peer::TidegateTls);
    let tls = &encrypted["listener"][0]["tls"][0];
    for (key, label) in [("cert", "CERTIFICATE"), ("key", "PRIVATE KEY")] {
        let pem = std::fs::read_to_string(tls[key].as_str().unwrap()).unwrap();
        assert!(pem.starts_with(&format!("-----BEGIN {label}-----")), "{pem}");
    }
    let native = Peer::Native.spec(&setup, dir.path(), &identity, address, Some(b"Hello"));
    assert_eq!(native.unwrap().args[0], "native");
}
