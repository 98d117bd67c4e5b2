//! The configurations of Alice's and Bob's gateways: what an operator would write.

use std::fmt::Write as _;

use crate::gateway::configuration_of;
use crate::stage::{Place, RECEIVER, Stage};

pub(super) fn of_alice(stage: &Stage) -> String {
    let mut text = common(&stage.alice, stage, &[&stage.bob, &stage.eve]);
    for (listen, target) in [(stage.alice_to_bob, &stage.bob), (stage.alice_to_eve, &stage.eve)] {
        let _ = write!(
            text,
            "\n# What the application here sends to this address goes to {target}, with a proof.\n\
             [[outbound]]\n\
             listen = \"{listen}\"\n\
             target = \"{target}\"\n\
             prove = {{ webhook = \"{webhook}\" }}\n",
            target = target.url(),
            webhook = stage.alice.webhook(),
        );
    }
    text
}

pub(super) fn of_bob(stage: &Stage) -> String {
    let mut text = common(&stage.bob, stage, &[&stage.alice, &stage.eve]);
    let _ = write!(
        text,
        "\n[webhook]\n\
         callers = [\"{alice}\"]\n\
         \n[[route]]\n\
         path = \"{RECEIVER}\"\n\
         upstream = \"http://{application}\"\n\
         accept = [\"webhook\"]\n",
        alice = stage.alice.webhook(),
        application = stage.bob.application,
    );
    text
}

fn common(place: &Place, stage: &Stage, others: &[&Place]) -> String {
    let mut ports: Vec<_> = others.iter().map(|other| other.front.port()).collect();
    ports.dedup();
    let begins = configuration_of("webhook", place.gateway, &place.url());
    format!(
        "{begins}\
         \n# For this laboratory: a certificate authority of its own, and addresses that are not public.\n\
         [egress]\n\
         ca_file = \"ca.pem\"\n\
         ports = {ports:?}\n\
         allow_private = {ranges:?}\n",
        ranges = stage.ranges,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_gateway::config::{Overrides, load_text};

    #[test]
    fn what_is_written_is_a_sound_configuration_here_and_in_containers() {
        for stage in [Stage::here().unwrap(), Stage::of_containers()] {
            for text in [of_alice(&stage), of_bob(&stage)] {
                let loaded = load_text("countersign.toml".as_ref(), &text, &Overrides::default());
                assert!(loaded.is_ok(), "{text}");
            }
        }
    }
}
