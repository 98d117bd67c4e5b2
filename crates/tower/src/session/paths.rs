//! The paths of `/auth/*`, and what each asks of whoever calls it.

use countersign::schemes::session::{HandshakePolicy, SessionDemand};
use http::Method;

/// One path of `/auth/*` with its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthPath {
    /// `POST /auth/signup`: somebody becomes a user by themselves.
    SignUp,
    /// `POST /auth/signin`: a session begins.
    SignIn,
    /// `POST /auth/handshake`: one more handshake.
    Handshake,
    /// `GET /auth/whoami`: whose session it is.
    WhoAmI,
    /// `POST /auth/signout`: the session ends.
    SignOut,
    /// `GET /auth/sessions`: all sessions of the user.
    Sessions,
    /// `DELETE /auth/sessions`: all of them end.
    EndSessions,
    /// `DELETE /auth/sessions/{id}`: one of them ends.
    EndSession,
}

impl AuthPath {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SignUp,
        Self::SignIn,
        Self::Handshake,
        Self::WhoAmI,
        Self::SignOut,
        Self::Sessions,
        Self::EndSessions,
        Self::EndSession,
    ];

    /// Its path, as a template: `{id}` is the name of a session.
    #[must_use]
    pub const fn template(self) -> &'static str {
        match self {
            Self::SignUp => "/auth/signup",
            Self::SignIn => "/auth/signin",
            Self::Handshake => "/auth/handshake",
            Self::WhoAmI => "/auth/whoami",
            Self::SignOut => "/auth/signout",
            Self::Sessions | Self::EndSessions => "/auth/sessions",
            Self::EndSession => "/auth/sessions/{id}",
        }
    }

    /// Its method; GET admits HEAD.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::SignUp | Self::SignIn | Self::Handshake | Self::SignOut => Method::POST,
            Self::WhoAmI | Self::Sessions => Method::GET,
            Self::EndSessions | Self::EndSession => Method::DELETE,
        }
    }

    /// What it asks of a session, where `usual` is asked elsewhere. `None`: nobody needs to be signed in.
    #[must_use]
    pub const fn demand(self, usual: SessionDemand) -> Option<SessionDemand> {
        match self {
            Self::SignUp | Self::SignIn => None,
            // Whoever wants a handshake, or wants to leave, cannot be asked for one first.
            Self::Handshake | Self::WhoAmI | Self::SignOut => {
                Some(SessionDemand { handshake: HandshakePolicy::Never, ..usual })
            }
            Self::Sessions | Self::EndSessions | Self::EndSession => Some(usual),
        }
    }
}
