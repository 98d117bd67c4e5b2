//! What each kind of callback lost, side by side, drawn from what really happened.

use std::path::Path;

use countersign_gateway::terminal::escape;

use super::{KINDS, Places, RESULTS, Told};
use crate::say::say;

/// Who is there.
pub(super) fn stage(places: &Places, folder: &Path, pids: [u32; 3]) {
    say("Three processes that share nothing:");
    say("");
    say(&format!(
        "  our API      http://{}  process {}; has tasks done, takes results",
        places.gateway, pids[0]
    ));
    say(&format!(
        "  the service  http://{}  process {}; POST /tasks, queue, processor",
        places.service, pids[1]
    ));
    say(&format!("  Eve          process {}", pids[2]));
    say("");
    say(&format!("  Configuration and stores are in {}.", folder.display()));
    say("");
    say("Our API sends tasks to the service, each with a callback URL of one of three kinds:");
    say("");
    say("  no token      /none/results/{id}");
    say("  static token  /static/results/{id}/{token}   one for a user, used as often as one likes");
    say("  JWT           /jwt/results/{id}/{token}      for one result, once, for a while");
    say("");
}

const WIDTH: usize = 30;

/// The table.
pub(super) fn show(told: &Told, good: bool) {
    say(&format!(
        "Then the service's database is stolen: Eve has {} callback URLs, and tries each for every result.",
        told.stolen
    ));
    say("");
    let titles: Vec<String> = KINDS.iter().map(|kind| format!("{:WIDTH$}", kind.title)).collect();
    say(&format!("  {:34}{}", "result", titles.join("").trim_end()));
    for (result, what) in RESULTS {
        let cells: Vec<String> = KINDS
            .iter()
            .map(|kind| {
                let lost = told.lost(kind).contains(&result);
                let tried = told.attempt(kind, result);
                let cell = match (lost, tried) {
                    (true, _) => "LOST".to_owned(),
                    (false, Some(tried)) => {
                        let code = tried.code.as_deref().unwrap_or("by the application");
                        format!("kept: {} {}", tried.status, escape(code))
                    }
                    (false, None) => "kept".to_owned(),
                };
                format!("{cell:WIDTH$}")
            })
            .collect();
        say(&format!("  {:34}{}", format!("{result}  {what}"), cells.join("").trim_end()));
    }
    let counts: Vec<String> = KINDS
        .iter()
        .map(|kind| format!("{:WIDTH$}", format!("{} of {}", told.lost(kind).len(), RESULTS.len())))
        .collect();
    say(&format!("  {:34}{}", "lost", counts.join("").trim_end()));
    say("");
    say(
        "What a JWT lost is the one delivery that was still open: whoever is first with a callback URL uses it up.",
    );
    for late in told.finished.iter().filter(|late| late.kind == "jwt" && late.result == 2) {
        say(&format!(
            "The service learnt of it: its own delivery of result 2 was answered {} {}.",
            late.status,
            escape(late.code.as_deref().unwrap_or_default())
        ));
    }
    say("");
    say(match good {
        true => "As it must be.",
        false => "Something was NOT as it must be.",
    });
}
