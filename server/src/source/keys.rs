//! The keys of vendors: from the environment or from a file, never from the command line, and never into a message.

use anyhow::{Context, bail};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};

const KEY: &str = "STOCKSTREAM_FEED_KEY";
const SECRET: &str = "STOCKSTREAM_FEED_SECRET";

/// Where the vendor's key is.
#[derive(Clone, Debug, Default, Args)]
pub struct KeyArgs {
    /// File with the vendor's key in its first line, and the secret that belongs to it (Alpaca) in the second. Without it,
    /// the environment variables STOCKSTREAM_FEED_KEY and STOCKSTREAM_FEED_SECRET are read. There is no flag for a key:
    /// command lines can be seen by everybody on the machine.
    #[arg(long, env = "STOCKSTREAM_FEED_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// A vendor's key, and the secret that belongs to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    key: Option<SecretString>,
    secret: Option<SecretString>,
}

impl KeyArgs {
    /// # Errors
    /// When the file cannot be read or is empty.
    pub(super) fn read(&self) -> anyhow::Result<Keys> {
        match &self.key_file {
            Some(file) => Keys::of_file(file),
            None => {
                let variable =
                    |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty()).map(SecretString::from);
                Ok(Keys { key: variable(KEY), secret: variable(SECRET) })
            }
        }
    }
}

impl Keys {
    fn of_file(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("the key's file {} cannot be read", file.display()))?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(SecretString::from);
        let Some(key) = lines.next() else { bail!("the key's file {} is empty", file.display()) };
        Ok(Self { key: Some(key), secret: lines.next() })
    }

    /// # Errors
    /// When there is none.
    pub(super) fn key(&self) -> anyhow::Result<&str> {
        match &self.key {
            Some(key) => Ok(key.expose_secret()),
            None => bail!("this API wants a key: set {KEY}, or name a file with --key-file"),
        }
    }

    /// # Errors
    /// When there is none.
    pub(super) fn secret(&self) -> anyhow::Result<&str> {
        match &self.secret {
            Some(secret) => Ok(secret.expose_secret()),
            None => {
                bail!("this API wants a secret beside the key: set {SECRET}, or write it in the file's second line")
            }
        }
    }

    /// A text that may repeat what was sent, without the keys in it.
    pub(super) fn redact(&self, text: &str) -> String {
        let keys = [&self.key, &self.secret].into_iter().flatten();
        keys.fold(text.to_owned(), |text, key| text.replace(key.expose_secret(), "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_holds_key_and_secret_which_show_up_nowhere() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "\n hunter2 \r\nswordfish\n").unwrap();
        let keys = KeyArgs { key_file: Some(file.path().to_owned()) }.read().unwrap();
        assert_eq!((keys.key().unwrap(), keys.secret().unwrap()), ("hunter2", "swordfish"));
        assert!(!format!("{keys:?}").contains("hunter2"));
        assert_eq!(keys.redact("your key hunter2 of swordfish"), "your key *** of ***");
        assert!(Keys::default().key().unwrap_err().to_string().contains("STOCKSTREAM_FEED_KEY"));
        let missing = KeyArgs { key_file: Some("/nonexistent/key".into()) }.read().unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/key"), "{missing}");
    }
}
