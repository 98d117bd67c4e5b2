//! Eve: has all callback URLs of the service, and tries each for every result.

use std::process::ExitCode;

use super::{RESULTS, attempt};
use crate::actor::{follow_orders, until_told};
use crate::cast::Casting;
use crate::failure::Outcome;
use crate::front::loopback_client;
use crate::orders::{Order, Report, Task};

/// What a result says when it is Eve's.
pub(super) const FORGED: &str = "forged by Eve";

/// Plays Eve until she is told to end.
pub(super) async fn play(casting: &Casting) -> Outcome {
    follow_orders(casting, |order| async move {
        match order {
            Order::Rewrite(stolen) => rewrite(&stolen).await,
            other => Report::Failed(format!("{other:?} is not for me")),
        }
    });
    until_told().await?;
    Ok(ExitCode::SUCCESS)
}

/// Replaces the number of the result in each URL by every other, as the seed says.
async fn rewrite(stolen: &[Task]) -> Report {
    let client = loopback_client();
    let mut attempts = Vec::new();
    for task in stolen {
        for (result, _) in RESULTS {
            attempts.push(attempt(&client, task, result, FORGED).await);
        }
    }
    Report::Attempts(attempts)
}
