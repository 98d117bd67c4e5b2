//! Routes and paths: no path makes the router panic, and an unambiguous reading is the reading.
#![no_main]

use countersign::path::Template;
use countersign_gateway::router::Router;
use http::Method;
use libfuzzer_sys::fuzz_target;

// Lines: the last is a path, those before it are templates.
fuzz_target!(|text: &str| {
    let (templates, path) = text.rsplit_once('\n').unwrap_or(("/*\n/admin/*\n/{a}/b", text));
    let mut router = Router::default();
    for (number, line) in templates.lines().enumerate() {
        if let Ok(template) = Template::parse(line) {
            let _ = router.insert(&template, None, number);
        }
    }
    let found = router.find(path, &Method::GET);
    if let Some(unambiguous) = router.find_unambiguous(path, &Method::GET) {
        assert_eq!(unambiguous, found);
    }
});
