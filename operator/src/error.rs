//! Why a graph cannot be brought to what its resource asks for.

use legonf_transport::tls::TlsError;

/// What went wrong, in one line that names the object and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The resource contradicts itself.
    #[error("spec.{field}: {reason}")]
    Spec {
        /// The field.
        field: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The resource has a name that its objects cannot have.
    #[error("metadata.name: {reason}")]
    Name {
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// What the resource names is not there.
    #[error("spec.{field}: there is no {kind} `{name}` in the namespace; create it")]
    Missing {
        /// The field.
        field: String,
        /// What it should be.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// An object has a name that the graph needs, and belongs to something else.
    #[error("{kind} `{name}` is there already and not of this graph; rename the graph or delete it")]
    Taken {
        /// What it is.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A secret of the graph does not hold what the operator put there.
    #[error("Secret `{name}`: {reason}; delete it, and the operator makes it anew")]
    Secret {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Certificates cannot be made.
    #[error("certificates: {0}")]
    Certificates(#[from] TlsError),
    /// The API server refused, or is not there.
    #[error("{}", said(.0))]
    Api(#[from] Box<kube::Error>),
    /// The cluster does not know the resource.
    #[error(
        "the cluster has no BrickGraphs; `legonf-operator crd | kubectl apply --server-side -f -` defines them"
    )]
    Undefined,
    /// An answer of the API server makes no sense.
    #[error("the API server answered what was not asked: {0}")]
    Json(#[from] serde_json::Error),
}

/// What the API server said, without what it said around it.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

impl From<kube::Error> for OperatorError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl OperatorError {
    /// A field that cannot be so.
    pub fn spec(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Spec { field: field.into(), reason: reason.into() }
    }

    /// The reason in a condition: one word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec { .. } | Self::Name { .. } => "InvalidSpec",
            Self::Missing { .. } => "MissingReference",
            Self::Taken { .. } => "NameTaken",
            Self::Secret { .. } => "DamagedSecret",
            Self::Certificates(_) => "NoCertificates",
            Self::Api(error) => match &**error {
                kube::Error::Api(status) if status.code == 403 => "Forbidden",
                _ => "ApiError",
            },
            Self::Json(_) | Self::Undefined => "ApiError",
        }
    }

    /// Whether the resource has to change, or something in the namespace, before another try makes sense.
    pub fn is_of_the_user(&self) -> bool {
        !matches!(self, Self::Certificates(_) | Self::Api(_) | Self::Json(_) | Self::Undefined)
    }
}
