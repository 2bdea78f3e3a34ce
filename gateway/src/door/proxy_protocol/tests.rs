use super::*;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TCP4: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
const TCP6: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n";
/// The longest the specification knows (proxy-protocol.txt §2.1).
const LONGEST: &[u8] =
    b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";

/// A header of version 2, with `rest` behind the fixed part.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [v2::PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
}

const IPV4: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

fn ipv6(source: &str, destination: &str) -> Vec<u8> {
    let octets = |address: &str| address.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let ports = [0xdc, 0x04, 0x01, 0xbb];
    [&octets(source)[..], &octets(destination), &ports].concat()
}

fn client(source: &str, destination: &str) -> Option<Named> {
    Some(Named {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    })
}

/// Headers that are taken, and whom they name.
fn taken() -> Vec<(Vec<u8>, Option<Named>)> {
    let four = client("192.0.2.7:56324", "198.51.100.1:443");
    let six = client("[2001:db8::7]:56324", "[2001:db8::1]:443");
    let tls = [IPV4, &[0x20, 0, 5, 7, 0, 0, 0, 0]].concat();
    let long = [IPV4, &[0x04, 0x01, 0x2c], &[0; 300]].concat();
    vec![
        (TCP4.to_vec(), four),
        (TCP6.to_vec(), six),
        (
            b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n".to_vec(),
            client("0.0.0.0:0", "255.255.255.255:65535"),
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 56324 443\r\n".to_vec(),
            four,
        ),
        (v2(0x21, 0x11, IPV4), four),
        (v2(0x21, 0x11, &tls), four),
        (v2(0x21, 0x11, &long), four),
        (v2(0x21, 0x21, &ipv6("2001:db8::7", "2001:db8::1")), six),
        (v2(0x21, 0x21, &ipv6("::ffff:192.0.2.7", "::ffff:198.51.100.1")), four),
        // The balancer's own, and what has no addresses of ours.
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN one two  three four five six\r\n".to_vec(), None),
        (LONGEST.to_vec(), None),
        (v2(0x20, 0x00, &[]), None),
        (v2(0x20, 0x11, IPV4), None),
        (v2(0x20, 0x11, &[]), None),
        (v2(0x20, 0xff, b"whatever"), None),
        (v2(0x21, 0x00, &[]), None),
        (v2(0x21, 0x00, &[4, 0, 1, 0]), None),
        (v2(0x21, 0x31, &[b'/'; 216]), None),
        (v2(0x21, 0x31, &[b'/'; 220]), None),
    ]
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
    (here.unwrap(), there.unwrap().0)
}

/// What becomes of a connection that sends `pieces` one after the other and then closes; and what was not taken of it.
async fn receive_pieces(pieces: &[&[u8]]) -> (Result<Option<Named>, Fault>, Vec<u8>) {
    let (mut balancer, mut gateway) = pair().await;
    balancer.set_nodelay(true).unwrap();
    let writing = async {
        for piece in pieces {
            balancer.write_all(piece).await.unwrap();
            // Lets the reader meet what there is so far.
            tokio::task::yield_now().await;
        }
        drop(balancer);
    };
    let (read, ()) = tokio::join!(read(&gateway), writing);
    let mut rest = Vec::new();
    gateway.read_to_end(&mut rest).await.unwrap();
    (read, rest)
}

#[tokio::test]
async fn a_header_names_the_client_and_what_follows_it_stays() {
    for (header, named) in taken() {
        for rest in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"\r\n", TCP4] {
            let whole = [&header, rest].concat();
            let (read, left) = receive_pieces(&[&whole]).await;
            let text = String::from_utf8_lossy(&header);
            assert_eq!(read.unwrap_or_else(|fault| panic!("{text}: {fault}")), named, "{text}");
            assert_eq!(left, rest, "{text}");
        }
    }
}

#[tokio::test]
async fn a_header_may_come_in_any_two_pieces() {
    for header in [TCP4, LONGEST, &v2(0x21, 0x11, IPV4), &v2(0x20, 0, &[])] {
        let rest = b"GET";
        let whole = [header, rest].concat();
        for cut in 1..whole.len() {
            let (first, second) = whole.split_at(cut);
            let (read, left) = receive_pieces(&[first, second]).await;
            assert!(read.is_ok(), "{cut}: {read:?}");
            assert_eq!(left, rest, "{cut}");
        }
    }
}

#[tokio::test]
async fn a_header_that_ends_early_is_none() {
    for header in [TCP4, &v2(0x21, 0x11, IPV4)] {
        let (read, _) = receive_pieces(&[]).await;
        assert!(matches!(read, Err(Fault::Silent)), "{read:?}");
        for cut in 1..header.len() {
            let (read, _) = receive_pieces(&[&header[..cut]]).await;
            assert!(matches!(read, Err(Fault::Cut)), "{cut}: {read:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_header_is_refused_without_waiting_for_more() {
    let long_v1 = [b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat();
    let refused: Vec<(Vec<u8>, &str)> = vec![
        (b"GET / HTTP/1.1\r\n".to_vec(), "does not begin"),
        (b"G".to_vec(), "does not begin"),
        (b"PROXy TCP4 ".to_vec(), "does not begin"),
        (b"\r\n\r\n\0\r\nQUIS".to_vec(), "does not begin"),
        (b"\x16\x03\x01\x02\x00".to_vec(), "does not begin"),
        (b"PROXY TCP5 192.0.2.7 198.51.100.1 56324 443\r\n".to_vec(), "protocol"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n".to_vec(), "estination"),
        (b"PROXY TCP4 192.0.2.256 198.51.100.1 56324 443\r\n".to_vec(), "source"),
        (b"PROXY TCP4 2001:db8::7 2001:db8::1 56324 443\r\n".to_vec(), "source"),
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n".to_vec(),
            "destination",
        ),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n".to_vec(), "port"),
        (b"PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n".to_vec(), "source"),
        (b"PROXY UNKNOWNX\r\n".to_vec(), "protocol"),
        (b"PROXY UNKNOWN\n".to_vec(), "protocol"),
        (b"PROXY \xff\xff\xff\xff\xff\xff\xff\xff\r\n".to_vec(), "UTF-8"),
        (long_v1[..limits::PROXY_V1_BYTES].to_vec(), "longer than 107"),
        (v2(0x21, 0x12, IPV4), "datagrams"),
        (v2(0x21, 0x22, &ipv6("::1", "::1")), "datagrams"),
        (v2(0x11, 0x11, IPV4), "version"),
        (v2(0x22, 0x11, IPV4), "ommand"),
        (v2(0x21, 0x41, IPV4), "amily"),
        (v2(0x21, 0x13, IPV4), "protocol"),
        (v2(0x21, 0x11, &IPV4[..11]), "length"),
        (v2(0x21, 0x21, IPV4), "length"),
        (v2(0x21, 0x31, &[0; 215]), "length"),
        (
            v2(0x21, 0x11, &[0; limits::PROXY_V2_REST_BYTES + 1])[..16].to_vec(),
            "longer than 4112",
        ),
    ];
    for (bytes, why) in refused {
        let (mut balancer, gateway) = pair().await;
        balancer.write_all(&bytes).await.unwrap();
        // The balancer's end stays open: it is what came that decides.
        let text = String::from_utf8_lossy(&bytes);
        let Err(fault) = read(&gateway).await else {
            panic!("{text} was taken")
        };
        assert!(fault.to_string().contains(why), "{text}: {fault}");
    }
}

#[tokio::test]
async fn the_longest_extensions_are_taken() {
    let mut rest = IPV4.to_vec();
    rest.resize(limits::PROXY_V2_REST_BYTES, 0);
    let (read, left) = receive_pieces(&[&v2(0x21, 0x11, &rest), b"G"]).await;
    assert_eq!(read.unwrap(), client("192.0.2.7:56324", "198.51.100.1:443"));
    assert_eq!(left, b"G");
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_or_take_too_much(
        command in any::<u8>(),
        family in any::<u8>(),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        line in "PROXY (TCP4|TCP6|UNKNOWN|.{0,5})[ 0-9a-f.:\r+-]{0,90}\r?\n",
    ) {
        for header in [v2(command, family, &rest), line.into_bytes()] {
            let mut have = 0;
            while let Ok(Some(missing)) = missing(&header[..have]) {
                prop_assert!(missing.most > 0);
                let line_end = header[have..].iter().position(|byte| *byte == b'\n').map_or(usize::MAX, |at| at + 1);
                have += if missing.is_line { missing.most.min(line_end) } else { missing.most };
                if have > header.len() {
                    // A line too short to be a header: its end was looked for further on.
                    return Ok(());
                }
            }
            let _ = parse(&header[..have]);
        }
    }
}
