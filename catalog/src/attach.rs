//! What is kept with a table for the gate: attached rules and waivers, in `_lakegate/` of its folder.
//!
//! Rules are kept by their hash and never change, so that attaching is one property in one commit. Readers of Delta
//! pass over folders whose name begins with an underscore.

use deltalake::logstore::LogStoreRef;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{CatalogError, RulesText};

fn rules_path(sha256: &str) -> Path {
    Path::from_iter(["_lakegate", "rules", &format!("{sha256}.yaml")])
}

/// Keeps a rule file's text with the table, in the place of a damaged one. It stays when the commit that brings it is
/// refused: another writer may have attached the same rules by then.
pub(crate) async fn store_rules(
    log_store: &LogStoreRef,
    table: &str,
    rules: &RulesText,
) -> Result<(), CatalogError> {
    if hash(&rules.text) != rules.sha256 {
        return Err(CatalogError::Bug(format!(
            "the hash of the rules in {} is not that of their text",
            rules.file
        )));
    }
    let failed = |error| {
        CatalogError::failed(
            format!("the rules of `{table}` cannot be kept in its folder"),
            error,
        )
    };
    let bytes = bytes::Bytes::from(rules.text.as_bytes().to_vec());
    let store = log_store.object_store(None);
    let path = rules_path(&rules.sha256);
    let created = store
        .put_opts(&path, bytes.clone().into(), PutMode::Create.into())
        .await;
    match created {
        Ok(_) => return Ok(()),
        Err(StoreError::AlreadyExists { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    let kept = store.get(&path).await.map_err(failed)?;
    if kept.bytes().await.map_err(failed)? != bytes {
        store.put(&path, bytes.into()).await.map_err(failed)?;
    }
    Ok(())
}

/// Reads the attached rules, and makes sure that they are the ones that were attached.
pub(crate) async fn load_rules(
    log_store: &LogStoreRef,
    table: &str,
    sha256: &str,
) -> Result<RulesText, CatalogError> {
    let path = rules_path(sha256);
    let unreadable = |source| {
        CatalogError::failed(
            format!("the rules of `{table}` cannot be read from {path}"),
            source,
        )
    };
    let bytes = log_store
        .object_store(None)
        .get(&path)
        .await
        .map_err(unreadable)?
        .bytes()
        .await
        .map_err(unreadable)?;
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| damaged(table, &path))?;
    if hash(&text) != sha256 {
        return Err(damaged(table, &path));
    }
    Ok(RulesText {
        file: path.to_string(),
        text: text.into(),
        sha256: sha256.to_owned(),
    })
}

fn damaged(table: &str, path: &Path) -> CatalogError {
    CatalogError::invalid(
        format!("the rules of `{table}` in {path} are not the ones that were attached"),
        Some("put the rule file back, or attach one with `lakegate apply`".to_owned()),
    )
}

/// All waivers of a table, as JSON.
pub(crate) async fn load_waivers(
    log_store: &LogStoreRef,
    table: &str,
) -> Result<Vec<Value>, CatalogError> {
    let store = log_store.object_store(None);
    let unreadable =
        |source| CatalogError::failed(format!("the waivers of `{table}` cannot be read"), source);
    let folder = Path::from_iter(["_lakegate", "waivers"]);
    let files: Vec<_> = match store.list(Some(&folder)).try_collect().await {
        Ok(files) => files,
        Err(StoreError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(unreadable(error)),
    };
    let mut waivers = Vec::with_capacity(files.len());
    for file in files {
        let bytes = store
            .get(&file.location)
            .await
            .map_err(unreadable)?
            .bytes()
            .await
            .map_err(unreadable)?;
        waivers.push(serde_json::from_slice(&bytes).map_err(|error| {
            CatalogError::failed(
                format!("the waiver {} of `{table}` is damaged", file.location),
                error,
            )
        })?);
    }
    Ok(waivers)
}

/// Keeps a waiver with the table.
pub(crate) async fn store_waiver(
    log_store: &LogStoreRef,
    table: &str,
    waiver: &Value,
) -> Result<(), CatalogError> {
    let path = Path::from_iter(["_lakegate", "waivers", &format!("{}.json", Uuid::now_v7())]);
    log_store
        .object_store(None)
        .put_opts(
            &path,
            waiver.to_string().into_bytes().into(),
            PutMode::Create.into(),
        )
        .await
        .map_err(|error| {
            CatalogError::failed(
                format!("the waiver for `{table}` cannot be kept in its folder"),
                error,
            )
        })?;
    Ok(())
}

/// SHA-256 of a text, in hexadecimal.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            hex.push_str(&format!("{byte:02x}"));
            hex
        })
}
