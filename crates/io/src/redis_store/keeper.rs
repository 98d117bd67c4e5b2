//! Keeps a line to the server: looks each second whether it answers, opens another when it does not, and
//! tells the log when an outage begins and when it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign::store::StoreError;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::checkup::Checkup;
use super::connection::{Connection, bounded};
use super::ledger::Ledger;
use super::line::{Line, unavailable};
use crate::RedisUrl;

/// How often we look. It is also what keeps a line from being idle.
const BEAT: Duration = Duration::from_secs(1);
/// The server's settings are read again after so many beats.
const CHECKUP: u32 = 5;
/// The least that opening a line may take, however little an answer may: calls wait no longer than they
/// may all the same, and a line across a network that is slow is opened at last.
const OPENING: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// What the store and its keeper share.
pub(super) struct Shared {
    pub(super) url: RedisUrl,
    pub(super) connection: Connection,
    pub(super) ledger: Ledger,
    /// What the operator should know.
    pub(super) warnings: Mutex<Vec<String>>,
}

impl Shared {
    /// Opens the first line. Says also whether the server is known to write before it acknowledges.
    pub(super) async fn open(url: &RedisUrl) -> Result<(Self, bool), StoreError> {
        let (ledger, doubts) = (Ledger::default(), Arc::new(Notify::new()));
        let limit = url.timeout().max(OPENING);
        let line = bounded(limit, open(url, &doubts)).await?;
        let checkup = bounded(limit, Checkup::of(&line)).await?;
        // Seen now, so that a loss before the first proof is noticed too.
        let wait = bounded(limit, ledger.beat(&line, checkup.writes_first)).await?;
        sleep(wait).await;
        let connection = Connection::over(Arc::new(line), doubts, url.timeout());
        let warnings = Mutex::new(checkup.warnings);
        Ok((Self { url: url.clone(), connection, ledger, warnings }, checkup.writes_first))
    }
}

async fn open(url: &RedisUrl, doubts: &Arc<Notify>) -> Result<Line, StoreError> {
    let line = Line::open(url, doubts.clone()).await.map_err(unavailable)?;
    // A server that is stopped or still loading accepts connections as well.
    line.query::<()>(&redis::cmd("PING")).await.map_err(unavailable)?;
    Ok(line)
}

/// Looks after the line for as long as it is not dropped.
pub(super) async fn keep(shared: Arc<Shared>, writes_first: bool) {
    Keeper { shared, writes_first, outage: None, beats: 0 }.run().await;
}

struct Keeper {
    shared: Arc<Shared>,
    writes_first: bool,
    outage: Option<Instant>,
    beats: u32,
}

impl Keeper {
    async fn run(mut self) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_time = tokio::select! {
                _ = beat.tick() => true,
                () = self.shared.connection.doubts.notified() => false,
            };
            match self.shared.connection.current() {
                // Whoever needed the line has looked too early.
                Some(line) if line.is_good() && !is_time => self.shared.connection.put(Some(line)),
                Some(line) if !line.has_ended() => match self.look(&line).await {
                    Ok(()) => {
                        line.trust();
                        self.shared.connection.put(Some(line));
                    }
                    Err(error) => {
                        self.lost(&error);
                        self.open_another().await;
                    }
                },
                // A server may close what was idle: that alone is no outage.
                _ => self.open_another().await,
            }
        }
    }

    /// Whether the server answers on `line`.
    async fn look(&mut self, line: &Line) -> Result<(), StoreError> {
        let timeout = self.shared.connection.timeout;
        bounded(timeout, self.shared.ledger.beat(line, self.writes_first)).await?;
        self.beats += 1;
        if self.beats.is_multiple_of(CHECKUP) {
            let checkup = bounded(timeout.max(OPENING), Checkup::of(line)).await?;
            self.heed(checkup);
        }
        Ok(())
    }

    async fn open_another(&mut self) {
        self.shared.connection.put(None);
        let limit = self.shared.url.timeout().max(OPENING);
        loop {
            let opening = async {
                let line = open(&self.shared.url, &self.shared.connection.doubts).await?;
                let checkup = Checkup::of(&line).await?;
                // Before anybody uses it: a server that has lost its memory is noticed at once, and one that
                // is too slow for every call is none yet.
                let beat = self.shared.ledger.beat(&line, checkup.writes_first);
                bounded(self.shared.connection.timeout, beat).await?;
                Ok((line, checkup))
            };
            match bounded(limit, opening).await {
                Ok((line, checkup)) => {
                    self.heed(checkup);
                    self.found();
                    return self.shared.connection.put(Some(Arc::new(line)));
                }
                Err(error) => self.lost(&error),
            }
            sleep(PAUSE).await;
        }
    }

    fn lost(&mut self, error: &StoreError) {
        if self.outage.is_none() {
            self.outage = Some(Instant::now());
            tracing::warn!(store = %self.shared.url, %error, "the store does not answer: what needs it gets 503");
        }
    }

    fn found(&mut self) {
        if let Some(since) = self.outage.take() {
            let seconds = since.elapsed().as_secs_f32();
            tracing::warn!(store = %self.shared.url, seconds, "the store answers again");
        }
    }

    /// Takes what the server's settings are now; what is new about them is told.
    fn heed(&mut self, checkup: Checkup) {
        self.writes_first = checkup.writes_first;
        let mut warnings = self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in checkup.warnings.iter().filter(|warning| !warnings.contains(warning)) {
            tracing::warn!("{warning}");
        }
        *warnings = checkup.warnings;
    }
}
