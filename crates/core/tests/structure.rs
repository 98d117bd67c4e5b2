//! Inside every crate files import each other in one direction, so that each can be read without those above it.
//!
//! What is read is text: `use` and paths from `crate`, `super` and `self`, through `pub use` to the file that defines what
//! is named. A module and what is in its folder count as one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// `a::b`: the module that a file is, from its crate's root, which is the empty path.
type Module = Vec<String>;

/// What each crate may use of ours, and what of others' it may not: arrows between crates go down alone.
const CRATES: [(&str, &[&str], &[&str]); 8] = [
    ("core", &[], &["tokio", "hyper", "redb", "redis", "rustls", "tracing"]),
    ("http1", &[], &["tokio", "hyper", "httparse", "bytes"]),
    ("io", &["countersign"], &["axum", "clap"]),
    ("tower", &["countersign"], &["hyper", "axum", "clap"]),
    (
        "gateway",
        &["countersign", "countersign-http1", "countersign-io", "countersign-tower"],
        &["clap", "clap_complete", "clap_mangen", "tracing-subscriber", "mimalloc"],
    ),
    ("demo", &["countersign", "countersign-gateway", "countersign-io"], &["clap", "tracing-subscriber"]),
    (
        "cli",
        &["countersign", "countersign-demo", "countersign-gateway", "countersign-io", "countersign-tower"],
        &[],
    ),
    ("testing", &["countersign", "countersign-io"], &["axum", "clap"]),
];

#[test]
fn a_crate_uses_nothing_that_stands_above_it() {
    for source in sources() {
        let folder = source.parent().unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let found = CRATES.iter().find(|(known, ..)| *known == name);
        let (_, ours, never) = found.unwrap_or_else(|| panic!("say what {name} may use"));
        let used = dependencies(&fs::read_to_string(folder.join("Cargo.toml")).unwrap());
        assert!(!used.is_empty(), "{name}");
        for dependency in used {
            let is_ours = dependency.starts_with("countersign");
            assert!(!is_ours || ours.contains(&&*dependency), "{name} uses {dependency}");
            assert!(!never.contains(&&*dependency), "{name} uses {dependency}");
        }
    }
}

/// The names under `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]\n"));
    let lines = section.unwrap_or_default().lines().filter(|line| line.starts_with(char::is_alphabetic));
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
    lines.map(name).collect()
}

#[test]
fn decisions_are_numbered_without_gaps_from_the_thirty_first_on() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decisions");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut numbers: Vec<usize> =
        names.filter(|name| name != "README.md").map(|name| name[..4].parse().expect(&name)).collect();
    numbers.sort_unstable();
    let (before, from_here): (Vec<_>, Vec<_>) = numbers.into_iter().partition(|number| *number < 31);
    assert_eq!(before, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18, 22, 23]);
    assert_eq!(from_here, (31..31 + from_here.len()).collect::<Vec<_>>());
}

/// The rooms of each crate, a file or a folder with its file each, from top to bottom: what a room imports from its crate
/// lies on a floor below its own. Rooms of one floor know nothing of each other.
const FLOORS: [(&str, &[&str]); 8] = [
    (
        "core",
        &[
            "testing",
            "copies sealed",
            "schemes",
            "assertion",
            "issuer",
            "dpop",
            "arrival",
            "gate",
            "passage",
            "permit",
            "presented",
            "rule",
            "near_miss",
            "verifier",
            "spending",
            "held",
            "witness",
            "reservation",
            "remote_keys",
            "authorization",
            "requirement",
            "limit",
            "policy",
            "store",
            "fetch",
            "decision",
            "principal",
            "request",
            "source",
            "path",
            "redaction",
            "claim_path field_names public_url workers",
            "denial",
            "crypto",
            "time",
        ],
    ),
    (
        "http1",
        &["response", "framing", "chunked", "extension", "fields", "section target", "limits violation"],
    ),
    (
        "io",
        &[
            "any_store",
            "redis_store redb_store",
            "egress",
            "key_file",
            "secret_file store_url open_error",
            "clock workers",
        ],
    ),
    (
        "tower",
        &[
            "session",
            "endpoint",
            "assertion claimants",
            "prove",
            "layer",
            "doorway",
            "body problem",
            "cookies proven_body strip",
        ],
    ),
    (
        "gateway",
        &[
            "run",
            "outbound reload",
            "management server",
            "open",
            "runtime",
            "proxy",
            "config",
            "schemes",
            "shared",
            "recorder",
            "audit story",
            "egress endpoint settings terminal",
            "decisions guard http2 life metrics router",
        ],
    ),
    (
        "testing",
        &[
            "oauth callbacks sealed tls webhook",
            "signed raw",
            "gateway echo keep_alive",
            "http2 message peer redis store",
            "process",
        ],
    ),
    (
        "demo",
        &[
            "wallet session callback",
            "actor",
            "director",
            "webhook",
            "drawing apps",
            "front company",
            "players",
            "configuration",
            "gateway",
            "places",
            "certificates",
            "scene",
            "say orders",
            "cast failure stage",
        ],
    ),
    (
        "cli",
        &[
            "manual",
            "arguments",
            "callback configuration decode demo dev init issuer key serve sign store subject user verify",
            "raw call",
            "explain",
            "management key_add log",
            "settings say",
            "failure global_flags",
        ],
    ),
];

#[test]
fn no_arrow_between_rooms_goes_up() {
    let mut wrong = Vec::new();
    for source in sources() {
        let name = source.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let found = FLOORS.iter().find(|(known, _)| *known == name);
        let (_, floors) = found.unwrap_or_else(|| panic!("say which rooms {name} has"));
        wrong.extend(against_floors(&files(&source), floors).into_iter().map(|why| format!("{name}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_arrow_up_is_found_and_so_is_a_room_that_has_no_floor() {
    let file = |path: &str, text: &str| (path.split("::").map(str::to_owned).collect::<Module>(), code(text));
    let house = [
        file("attic", "use crate::hall::Door;"),
        file("hall::door", "use super::lamp; use crate::cellar::Barrel;"),
        file("hall::lamp", ""),
        file("cellar", "fn wire() { crate::hall::lamp::shine() }"),
        file("shed", ""),
    ];
    let house = house.into_iter().collect();
    let wrong = against_floors(&house, &["attic", "hall", "cellar", "well"]);
    assert_eq!(
        wrong,
        [
            "`cellar` is not above `hall::lamp`",
            "`shed` has no floor: say where it stands",
            "there is no `well`"
        ]
    );
    assert_eq!(against_floors(&house, &["attic", "hall cellar shed"]).len(), 2, "either way on one floor");
    let honest = house.into_iter().filter(|(path, _)| path[0] != "cellar").collect();
    assert!(against_floors(&honest, &["attic", "hall shed"]).is_empty());
}

/// What stands or points otherwise than the floors say.
fn against_floors(files: &BTreeMap<Module, String>, floors: &[&str]) -> Vec<String> {
    let floor =
        |module: &Module| floors.iter().position(|rooms| rooms.split(' ').any(|room| room == module[0]));
    let arrows = arrows(files);
    let mut wrong = BTreeSet::new();
    for (from, all) in arrows.iter().filter(|(from, _)| !from.is_empty()) {
        let Some(own) = floor(from) else {
            wrong.insert(format!("`{}` has no floor: say where it stands", from[0]));
            continue;
        };
        let others = all.iter().filter(|to| to[0] != from[0]);
        let up = others.filter(|to| floor(to).is_some_and(|floor| floor <= own));
        wrong.extend(up.map(|to| format!("`{}` is not above `{}`", from.join("::"), to.join("::"))));
    }
    let rooms = floors.iter().flat_map(|rooms| rooms.split(' '));
    let gone =
        rooms.filter(|room| !arrows.keys().any(|module| module.first().is_some_and(|first| first == room)));
    wrong.extend(gone.map(|room| format!("there is no `{room}`")));
    wrong.into_iter().collect()
}

#[test]
fn no_file_is_in_a_circle_with_another() {
    let mut circles = Vec::new();
    for source in sources() {
        let arrows = arrows(&files(&source));
        for circle in circles_in(&arrows) {
            circles.push(format!("{}: {}", source.display(), told(&circle, &arrows)));
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_circle_is_found_through_what_a_module_hands_on() {
    let file = |path: &str, text: &str| (path.split("::").map(str::to_owned).collect::<Module>(), code(text));
    let house = [
        file("rooms", "mod hall;\npub use hall::{Door, Hall as Entry};"),
        file("rooms::hall", "use super::super::{street::Lamp};"),
        file("street", "use crate::rooms::Door; // use crate::garden;"),
        file("garden", "const TEXT: &str = \"use crate::street;\"; fn path() { crate::street::walk() }"),
    ];
    let arrows = arrows(&house.into_iter().collect());
    let circles = circles_in(&arrows);
    assert_eq!(circles.len(), 1);
    let names: Vec<String> = circles[0].iter().map(|module| module.join("::")).collect();
    assert_eq!(names, ["rooms::hall", "street"]);
}

/// The `src` folder of every crate.
fn sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources: Vec<_> =
        fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    sources.retain(|source| source.is_dir());
    sources.sort();
    assert!(sources.len() >= 4, "{sources:?}");
    sources
}

/// What each file holds, by its module, without comments, strings and tests.
fn files(source: &Path) -> BTreeMap<Module, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let mut module: Module = path
                    .strip_prefix(source)
                    .unwrap()
                    .with_extension("")
                    .iter()
                    .map(|part| part.to_str().unwrap().to_owned())
                    .collect();
                if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&&**last)) {
                    module.pop();
                }
                if !module.iter().any(|part| part == "tests" || part.ends_with("_tests")) {
                    files.insert(module, code(&fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    files
}

/// Rust without what is no code: comments, strings, characters, and `mod tests { .. }`.
fn code(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        match rest {
            ['/', '/', ..] => at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => {
                at += rest.windows(2).position(|pair| pair == ['*', '/']).map_or(rest.len(), |end| end + 2);
            }
            ['r', '"', ..] | ['r', '#', ..] if raw_string(rest).is_some() => at += raw_string(rest).unwrap(),
            ['"', ..] => at += string(rest),
            ['\'', '\\', ..] => at += 2 + rest[2..].iter().position(|c| *c == '\'').unwrap_or(0) + 1,
            ['\'', _, '\'', ..] => at += 3,
            [c, ..] => {
                code.push(*c);
                at += 1;
            }
            [] => break,
        }
    }
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(tests) => code[..tests].to_owned(),
        None => code,
    }
}

fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(1 + hashes) == Some(&'"')).then_some(())?;
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = 2 + hashes;
    rest[body..].windows(end.len()).position(|window| window == end).map(|at| body + at + end.len())
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Which files each file names, by path.
fn arrows(files: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let handed_on: BTreeMap<&Module, Vec<(String, Module)>> =
        files.iter().map(|(module, text)| (module, handed_on(module, text))).collect();
    let mut arrows = BTreeMap::new();
    for (module, text) in files {
        let mut named = BTreeSet::new();
        for path in paths(module, text) {
            if let Some(file) = file_of(&path, files, &handed_on, 0) {
                named.insert(file);
            }
        }
        // A module and what is in its folder are one.
        named.retain(|other| other != module && !other.starts_with(module) && !module.starts_with(other));
        arrows.insert(module.clone(), named);
    }
    arrows
}

/// The file in which what a path names is written: a module hands on what its files define.
fn file_of(
    path: &[String],
    files: &BTreeMap<Module, String>,
    handed_on: &BTreeMap<&Module, Vec<(String, Module)>>,
    depth: usize,
) -> Option<Module> {
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let module = path[..length].to_vec();
    if let Some(item) = path.get(length)
        && depth < 8
        && let Some((_, target)) = handed_on[&module].iter().find(|(name, _)| name == item)
    {
        return file_of(target, files, handed_on, depth + 1);
    }
    // The root hands on, and is nobody's business.
    (!module.is_empty()).then_some(module)
}

/// Every path of a file that begins at the crate's root or at a module near it, from the root.
fn paths(module: &Module, code: &str) -> Vec<Module> {
    let words = words(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let begins = ["crate", "super", "self"].contains(&&*words[at])
            && words.get(at + 1).is_some_and(|word| word == "::");
        if begins && (at == 0 || words[at - 1] != "::") {
            at = tree(&words, at, &mut Vec::new(), &mut paths);
        } else {
            at += 1;
        }
    }
    paths.into_iter().filter_map(|path| absolute(module, &path)).collect()
}

/// `pub use` of a file: the names that it hands on, and where they come from.
fn handed_on(module: &Module, code: &str) -> Vec<(String, Module)> {
    let words = words(code);
    let mut names = Vec::new();
    for at in 0..words.len() {
        if words[at] != "use" || at == 0 || (words[at - 1] != "pub" && words[at - 1] != ")") {
            continue;
        }
        let mut paths = Vec::new();
        tree(&words, at + 1, &mut Vec::new(), &mut paths);
        for path in paths {
            let from_root = match &*path[0] {
                "crate" | "super" | "self" => absolute(module, &path),
                // A child's name, or another crate's, which no file has.
                _ => Some(module.iter().chain(&path).cloned().collect()),
            };
            if let (Some(name), Some(from_root)) = (path.last(), from_root) {
                names.push((name.clone(), from_root));
            }
        }
    }
    names
}

fn absolute(module: &Module, path: &[String]) -> Option<Module> {
    let mut base = match &*path[0] {
        "crate" => Vec::new(),
        "self" | "super" => module.clone(),
        _ => return None,
    };
    let mut rest = &path[usize::from(path[0] != "super")..];
    while rest.first().is_some_and(|first| first == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// Reads `a::{b, c::d}` from `at`; returns where it ends.
fn tree(words: &[String], mut at: usize, before: &mut Module, paths: &mut Vec<Module>) -> usize {
    let depth = before.len();
    loop {
        match words.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while words.get(at).is_some_and(|word| word != "}") {
                    let began = at;
                    at = tree(words, at, before, paths);
                    at += usize::from(words.get(at).is_some_and(|word| word == ","));
                    at += usize::from(at == began);
                }
                before.truncate(depth);
                return at + 1;
            }
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') || word == "*" => {
                before.push(word.to_owned());
                at += 1;
                if words.get(at).is_some_and(|word| word == "::") {
                    at += 1;
                    continue;
                }
                // `as` gives another name to the same thing.
                if words.get(at).is_some_and(|word| word == "as") {
                    at += 2;
                }
            }
            _ => {}
        }
        if before.last().is_some_and(|last| last == "self" || last == "*") && before.len() > 1 {
            before.pop();
        }
        if !before.is_empty() {
            paths.push(before.clone());
        }
        before.truncate(depth);
        return at;
    }
}

/// Names, `::`, and everything else character by character.
fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("::") => 2,
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    words
}

/// Groups of files that reach each other.
fn circles_in(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        arrows.keys().map(|from| (from, reach(from, arrows))).collect();
    let mut circles: Vec<BTreeSet<Module>> = Vec::new();
    for (from, reaches) in &reached {
        if circles.iter().any(|circle| circle.contains(*from)) {
            continue;
        }
        let circle: BTreeSet<Module> = reaches
            .iter()
            .filter(|to| reached.get(*to).is_some_and(|back| back.contains(from)))
            .map(|to| (*to).clone())
            .collect();
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles
}

fn reach<'a>(from: &'a Module, arrows: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        for to in arrows.get(module).into_iter().flatten() {
            if seen.insert(to) {
                next.push(to);
            }
        }
    }
    seen
}

fn told(circle: &BTreeSet<Module>, arrows: &BTreeMap<Module, BTreeSet<Module>>) -> String {
    let within = |from: &Module| {
        arrows[from].intersection(circle).map(|to| to.join("::")).collect::<Vec<_>>().join(", ")
    };
    circle
        .iter()
        .map(|from| format!("{} -> {}", from.join("::"), within(from)))
        .collect::<Vec<_>>()
        .join("; ")
}
