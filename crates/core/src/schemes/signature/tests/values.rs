//! What components are worth, and when there is no signature base: what the examples leave open.

use http::{HeaderMap, HeaderValue, Method, Uri};

use super::fields;
use crate::schemes::signature::{BaseError, Component, Message, signature_base};

fn value(component: &str, target: &str, headers: &HeaderMap) -> Result<String, BaseError> {
    let target: Uri = target.parse().unwrap();
    let message = Message::request(&Method::GET, &target, headers);
    let base = signature_base(&[Component::parse(component).unwrap()], "()", &message)?;
    let line = base.strip_suffix("\n\"@signature-params\": ()").unwrap();
    Ok(line.strip_prefix(&format!("{component}: ")).unwrap().to_owned())
}

fn derived(component: &str, target: &str) -> String {
    value(component, target, &HeaderMap::new()).unwrap()
}

#[test]
fn an_authority_is_lower_case_and_without_the_usual_port() {
    for (target, authority) in [
        ("https://EXAMPLE.com:443/", "example.com"),
        ("http://example.com:80/", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("http://example.com:8080/", "example.com:8080"),
        ("https://user@example.com/", "example.com"),
        ("https://[2001:DB8::1]:443/", "[2001:db8::1]"),
    ] {
        assert_eq!(derived("\"@authority\"", target), authority, "{target}");
    }
}

#[test]
fn an_empty_path_is_a_slash_and_no_query_a_question_mark() {
    assert_eq!(derived("\"@path\"", "https://example.com"), "/");
    assert_eq!(derived("\"@query\"", "https://example.com/"), "?");
    assert_eq!(derived("\"@target-uri\"", "https://example.com"), "https://example.com/");
    assert_eq!(derived("\"@target-uri\"", "https://example.com/a?"), "https://example.com/a?");
    assert_eq!(derived("\"@request-target\"", "https://example.com?a"), "/?a");
    assert_eq!(derived("\"@path\"", "https://example.com/a%2Fb%2fc/../d"), "/a%2Fb%2fc/../d");
}

#[test]
fn a_query_parameter_is_encoded_anew() {
    let parameter = |name: &str, query: &str| {
        let component = format!("\"@query-param\";name=\"{name}\"");
        value(&component, &format!("https://example.com/?{query}"), &HeaderMap::new())
    };
    assert_eq!(parameter("a", "a=~%7e!b").as_deref(), Ok("%7E%7E%21b"));
    assert_eq!(parameter("a", "%61=%62&b").as_deref(), Ok("b"));
    assert_eq!(parameter("a", "a=100%&b=%zz").as_deref(), Ok("100%25"));
    assert_eq!(parameter("a", "a=%FF").as_deref(), Ok("%FF"));
    let name = "\"@query-param\";name=\"a\"".to_owned();
    assert_eq!(parameter("a", "a=1&a=1"), Err(BaseError::Repeated(name.clone())));
    assert_eq!(parameter("a", "a=1&%61=2"), Err(BaseError::Repeated(name.clone())));
    assert_eq!(parameter("a", "b=1"), Err(BaseError::Missing(name)));
}

#[test]
fn a_structured_field_is_written_anew_if_it_is_known_as_one() {
    let headers = fields(&[
        ("priority", "u=1 ,  i=?1"),
        ("vary", "a ,b"),
        ("vary", "c"),
        ("content-type", "text/plain ;a=1"),
        ("content-length", "007"),
        ("x-thing", "a,  b"),
        ("cache-control", "("),
    ]);
    let sf = |name: &str| value(&format!("\"{name}\";sf"), "https://example.com/", &headers);
    assert_eq!(sf("priority").as_deref(), Ok("u=1, i"));
    assert_eq!(sf("vary").as_deref(), Ok("a, b, c"));
    assert_eq!(sf("content-length").as_deref(), Ok("7"));
    for name in ["content-type", "x-thing", "cache-control"] {
        assert_eq!(sf(name), Err(BaseError::NotStructured(format!("\"{name}\";sf"))));
    }
    let member = |key: &str| value(&format!("\"{key}\";key=\"b\""), "https://example.com/", &headers);
    assert_eq!(member("x-thing").as_deref(), Ok("?1"));
    assert_eq!(member("priority"), Err(BaseError::Missing("\"priority\";key=\"b\"".to_owned())));
    assert_eq!(
        member("cache-control"),
        Err(BaseError::NotStructured("\"cache-control\";key=\"b\"".to_owned()))
    );
}

#[test]
fn a_member_is_read_from_all_lines_of_its_field() {
    let headers = fields(&[("x-thing", "a=1"), ("x-thing", "b=2;c")]);
    let member = |key: &str| value(&format!("\"x-thing\";key=\"{key}\""), "https://example.com/", &headers);
    assert_eq!(member("a").as_deref(), Ok("1"));
    assert_eq!(member("b").as_deref(), Ok("2;c"));
}

#[test]
fn what_is_not_there_or_not_text_has_no_base() {
    let headers = fields(&[("x-thing", "caf\u{e9}"), ("x-tab", "a\tb")]);
    let of = |component: &str| value(component, "https://example.com/", &headers);
    assert_eq!(of("\"x-other\""), Err(BaseError::Missing("\"x-other\"".to_owned())));
    assert_eq!(of("\"x-thing\""), Err(BaseError::NotText("\"x-thing\"".to_owned())));
    assert_eq!(of("\"x-tab\"").as_deref(), Ok("a\tb"));
    assert_eq!(of("\"x-thing\";bs").as_deref(), Ok(":Y2Fmw6k=:"));
    assert_eq!(of("\"x-thing\";tr"), Err(BaseError::NotGiven("\"x-thing\";tr".to_owned())));
    assert_eq!(of("\"@path\";req"), Err(BaseError::NotGiven("\"@path\";req".to_owned())));
    let path = value("\"@path\"", "https://example.com/caf\u{e9}", &headers);
    assert_eq!(path, Err(BaseError::NotText("\"@path\"".to_owned())));
}

#[test]
fn a_component_is_covered_once() {
    let headers = fields(&[("x-thing", "a")]);
    let target = Uri::from_static("https://example.com/");
    let message = Message::request(&Method::GET, &target, &headers);
    let twice = |one: &str, other: &str| {
        signature_base(&[one, other].map(|text| Component::parse(text).unwrap()), "()", &message).map(drop)
    };
    assert_eq!(twice("\"x-thing\"", "\"x-thing\""), Err(BaseError::Duplicate("\"x-thing\"".to_owned())));
    assert_eq!(twice("\"@path\"", "\"@path\""), Err(BaseError::Duplicate("\"@path\"".to_owned())));
    assert_eq!(twice("\"x-thing\"", "\"x-thing\";bs"), Ok(()));
}

proptest::proptest! {
    #[test]
    fn no_component_and_no_message_make_a_panic(
        text in "\\PC{0,24}",
        component in "\"(@[a-z-]{1,14}|[a-z]{1,3})\"(;(sf|bs|tr|req|key=\"[a-z]\"|name=\"[a-z%0-9]{0,3}\")){0,2}",
        field in "[\\x20-\\xff]{0,20}",
        query in "[a-z=&%0-9+]{0,20}",
    ) {
        let _ = Component::parse(&text);
        let mut headers = HeaderMap::new();
        headers.insert("a", HeaderValue::from_bytes(field.as_bytes()).unwrap_or(HeaderValue::from_static("a=1")));
        let uri = format!("https://example.com/?{query}").parse().unwrap();
        let message = Message::request(&Method::GET, &uri, &headers);
        if let Ok(component) = Component::parse(&component) {
            let _ = signature_base(&[component], "()", &message);
        }
    }
}

#[test]
fn parts_of_large_fields_and_queries_are_parsed_only_so_often() {
    let members: Vec<String> = (0..16).map(|number| format!("k{number}=\"{}\"", "x".repeat(60))).collect();
    let mut headers = HeaderMap::new();
    headers.insert("x-parts", HeaderValue::try_from(members.join(", ")).unwrap());
    let length = headers["x-parts"].len();
    let query = members.join("&").replace('"', "");
    let target: Uri = format!("https://example.com/?{query}").parse().unwrap();
    let message = Message::request(&Method::GET, &target, &headers);
    let base = |form: &dyn Fn(usize) -> String, count: usize| {
        let components: Vec<_> = (0..count).map(|number| Component::parse(&form(number)).unwrap()).collect();
        signature_base(&components, "()", &message).map(drop)
    };
    for (form, length) in [
        (&(|number| format!("\"x-parts\";key=\"k{number}\"")) as &dyn Fn(usize) -> String, length),
        (&|number| format!("\"@query-param\";name=\"k{number}\""), query.len()),
    ] {
        let enough = 3 * 1024 / length;
        assert_eq!(base(form, enough), Ok(()));
        assert_eq!(base(form, enough + 1), Err(BaseError::TooMuch(form(enough))));
    }
}
