use http::HeaderValue;

use super::*;

#[test]
fn query_parameters() {
    let exact = |text: &str| Value::for_query("n", &ValueMatch::Exact(text.into())).unwrap();
    let regex = |text: &str| Value::for_query("n", &ValueMatch::Regex(text.into())).unwrap();
    let table = [
        (Some("a=1"), "a", exact("1"), true),
        (Some("b=2&a=1"), "a", exact("1"), true),
        (Some("a=1&a=2"), "a", exact("2"), false),
        (Some("a=11"), "a", exact("1"), false),
        (Some("aa=1"), "a", exact("1"), false),
        (Some("A=1"), "a", exact("1"), false),
        (Some("a=x%20y"), "a", exact("x y"), true),
        (Some("a=x+y"), "a", exact("x y"), true),
        (Some("a=x%2By"), "a", exact("x+y"), true),
        (Some("a=%4"), "a", exact("%4"), true),
        (Some("a=%zz%"), "a", exact("%zz%"), true),
        (Some("%61=1"), "a", exact("1"), true),
        (Some("a=1=2"), "a", exact("1=2"), true),
        (Some("a=b;c=d"), "c", exact("d"), false),
        (Some("a=caf%C3%A9"), "a", exact("café"), true),
        (Some("a"), "a", exact(""), true),
        (Some("a"), "a", Value::Present, true),
        (Some("a="), "a", Value::Present, true),
        (Some("&&=&b"), "a", Value::Present, false),
        (Some(""), "a", Value::Present, false),
        (None, "a", Value::Present, false),
        (Some("a=12"), "a", regex(r"\d+"), true),
        (Some("a=%31%32"), "a", regex(r"\d+"), true),
        (Some("a=12x"), "a", regex(r"\d+"), false),
        (Some("a=%FF"), "a", regex(r".*"), false),
        (Some("a=%FF"), "a", regex(r"(?-u:\xFF)"), true),
    ];
    for (query, name, value, expected) in table {
        assert_eq!(takes_query(name, &value, query), expected, "{query:?} {name} {value:?}");
    }
}

#[test]
fn header_fields() {
    let mut headers = HeaderMap::new();
    headers.append("x-tenant", HeaderValue::from_static("acme"));
    headers.append("x-tenant", HeaderValue::from_static("other"));
    headers.append("x-empty", HeaderValue::from_static(""));
    headers.append("x-bytes", HeaderValue::from_bytes(b"\xFF\xFE").unwrap());
    let takes = |name: &str, spec: ValueMatch| {
        takes_header(&name.parse().unwrap(), &Value::for_header(&spec).unwrap(), &headers)
    };
    assert!(takes("x-tenant", ValueMatch::Exact("acme".into())));
    assert!(takes("X-Tenant", ValueMatch::Exact("other".into())));
    assert!(!takes("x-tenant", ValueMatch::Exact("Acme".into())));
    assert!(!takes("x-tenant", ValueMatch::Exact("acme, other".into())));
    assert!(!takes("x-tenant", ValueMatch::Exact("acm".into())));
    assert!(takes("x-tenant", ValueMatch::Regex("a.*".into())));
    assert!(!takes("x-tenant", ValueMatch::Regex("cm".into())));
    assert!(takes("x-empty", ValueMatch::Present));
    assert!(takes("x-empty", ValueMatch::Exact(String::new())));
    assert!(!takes("x-missing", ValueMatch::Present));
    assert!(!takes("x-missing", ValueMatch::Exact(String::new())));
    assert!(!takes("x-missing", ValueMatch::Regex(".*".into())));
    assert!(takes("x-bytes", ValueMatch::Present));
}

#[test]
fn refused_values() {
    for text in [" a", "a ", "\ta", "a\nb", "a\0", "a\x7f"] {
        let refused = Value::for_header(&ValueMatch::Exact(text.into())).unwrap_err();
        assert_eq!(refused, ValueProblem::Impossible, "{text:?}");
    }
    assert!(matches!(
        Value::for_header(&ValueMatch::Regex("(".into())),
        Err(ValueProblem::Regex(_))
    ));
    assert!(matches!(
        Value::for_query("a", &ValueMatch::Regex("[".into())),
        Err(ValueProblem::Regex(_))
    ));
    assert!(matches!(
        Value::for_query("", &ValueMatch::Present),
        Err(ValueProblem::NoName)
    ));
    // A query value may hold what a header cannot.
    assert!(Value::for_query("a", &ValueMatch::Exact(" a\n".into())).is_ok());
}

#[test]
fn sources() {
    let nets = |list: &[&str]| {
        let source = list.iter().map(|net| net.parse().unwrap()).collect();
        plain_nets(&RouteSpec {
            source,
            ..RouteSpec::default()
        })
    };
    let table = [
        (nets(&[]), None, true),
        (nets(&[]), Some("1.2.3.4"), true),
        (nets(&["10.0.0.0/8"]), None, false),
        (nets(&["10.0.0.0/8"]), Some("10.255.0.1"), true),
        (nets(&["10.0.0.0/8"]), Some("11.0.0.1"), false),
        (nets(&["10.0.0.0/8"]), Some("::ffff:10.1.2.3"), true),
        (nets(&["10.0.0.0/8"]), Some("::10.1.2.3"), false),
        (nets(&["10.0.0.0/8", "2001:db8::/32"]), Some("2001:db8::7"), true),
        (nets(&["::ffff:10.0.0.0/104"]), Some("10.1.2.3"), true),
        (nets(&["::ffff:10.0.0.0/104"]), Some("11.1.2.3"), false),
        (nets(&["::/0"]), Some("10.1.2.3"), false),
        (nets(&["0.0.0.0/0"]), Some("10.1.2.3"), true),
        (nets(&["10.9.9.9/8"]), Some("10.1.2.3"), true),
    ];
    for (nets, source, expected) in table {
        let source = source.map(|text| text.parse().unwrap());
        assert_eq!(takes_source(&nets, source), expected, "{nets:?} {source:?}");
    }
    assert_eq!(nets(&["10.0.0.0/8", "10.1.0.0/16"]), nets(&["10.0.0.0/8"]));
}

#[test]
fn methods() {
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let table = [
        (vec![], Method::GET, Some(MethodFit::Any)),
        (vec![Method::GET], Method::GET, Some(MethodFit::Named)),
        (vec![Method::GET], Method::HEAD, Some(MethodFit::ByGet)),
        (vec![Method::GET, Method::HEAD], Method::HEAD, Some(MethodFit::Named)),
        (vec![Method::HEAD], Method::GET, None),
        (vec![Method::POST], Method::HEAD, None),
        (vec![purge.clone()], purge.clone(), Some(MethodFit::Named)),
        (vec![purge.clone()], Method::from_bytes(b"LOCK").unwrap(), None),
        (vec![Method::GET], purge, None),
        (vec![Method::GET], Method::from_bytes(b"get").unwrap(), None),
    ];
    for (methods, method, expected) in table {
        assert_eq!(method_fit(&methods, &method), expected, "{methods:?} {method}");
    }
}
