//! What is asked of the API server.

use crate::names::{MANAGER, namespace};
use crate::{BrickGraph, OperatorError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// The objects of a graph, by the API server.
pub struct Server<'a> {
    client: Client,
    graph: &'a BrickGraph,
}

impl<'a> Server<'a> {
    /// Those of a graph.
    pub fn new(client: Client, graph: &'a BrickGraph) -> Self {
        Self { client, graph }
    }

    /// Objects of the graph's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &namespace(self.graph))
    }

    /// An object of the graph; nothing where there is none.
    ///
    /// # Errors
    /// [`OperatorError::Taken`] where one of this name belongs to something else.
    pub async fn own<K>(&self, name: &str) -> Result<Option<K>, OperatorError>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let found = self.api::<K>().get_opt(name).await?;
        match &found {
            Some(object) if !self.owns(object.owner_references()) => {
                Err(OperatorError::Taken { kind: K::kind(&()).into_owned(), name: name.to_owned() })
            }
            _ => Ok(found),
        }
    }

    fn owns(&self, owners: &[OwnerReference]) -> bool {
        owners.iter().any(|owner| Some(&owner.uid) == self.graph.metadata.uid.as_ref())
    }

    /// Applies an object, which from then on belongs to the graph and goes with it. It must be [own](Self::own), or absent.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub async fn apply(&self, object: Value) -> Result<(), OperatorError> {
        let mut object: DynamicObject = serde_json::from_value(object)?;
        object.metadata.namespace = Some(namespace(self.graph));
        object.metadata.owner_references = Some(self.graph.controller_owner_ref(&()).into_iter().collect());
        let types = object.types.clone().unwrap_or_default();
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).map_err(unknown)?);
        let api =
            Api::<DynamicObject>::namespaced_with(self.client.clone(), &namespace(self.graph), &resource);
        let params = PatchParams::apply(MANAGER).force();
        api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// Applies the status of the graph.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub async fn set_status(&self, status: Value) -> Result<(), OperatorError> {
        let (group, kind) = (BrickGraph::api_version(&()), BrickGraph::kind(&()));
        let patch = json!({ "apiVersion": group, "kind": kind, "status": status });
        let params = PatchParams::apply(MANAGER).force();
        self.api::<BrickGraph>().patch_status(&self.graph.name_any(), &params, &Patch::Apply(&patch)).await?;
        Ok(())
    }

    /// The version of the group for disruption budgets: v1 came with Kubernetes 1.21.
    pub async fn policy(&self) -> Result<&'static str, OperatorError> {
        match self.client.list_api_group_resources("policy/v1").await {
            Ok(_) => Ok("policy/v1"),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok("policy/v1beta1"),
            Err(error) => Err(error.into()),
        }
    }
}

fn unknown(error: impl std::fmt::Display) -> OperatorError {
    OperatorError::spec("", error.to_string())
}
