//! SeaweedFS and Azurite on the loopback interface, each on separate ports and with its data in a temporary folder.

use crate::test_store::Bucket;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, MicrosoftAzureBuilder};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum time for a server to start on a busy machine.
const START_WITHIN: Duration = Duration::from_mins(1);

/// A process that is killed when dropped.
struct Server {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a file of an installed server, or skips the test if it is not installed.
fn installed(file: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let path = cache.join("pipe/servers").join(file);
    if !path.exists() {
        pipe_testkit::skip(&format!("no {file}, which cache/tests/install-servers.sh installs"));
        return None;
    }
    Some(path)
}

/// Returns a port such that it and the port `above` higher are free.
fn free_port(above: u16) -> u16 {
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let candidates = std::iter::repeat_with(|| {
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
    });
    let mut fits = candidates.take(1000).filter(|&port| port < u16::MAX - above && free(port) && free(port + above));
    fits.next().expect("a free port")
}

fn wait_for(port: u16, what: &str) {
    let until = Instant::now() + START_WITHIN;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "{what} did not start");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sends a request without a body, and returns the status.
fn request(port: u16, text: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(text.as_bytes()).expect("written");
    let mut answer = String::new();
    // A server may close before all is read; the status is what counts.
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Does for the tests' own clients what a remote does for its own.
fn choose_tls() {
    // Fails where it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// S3.
pub(crate) struct SeaweedFs {
    _server: Server,
    s3: u16,
}

impl SeaweedFs {
    pub(crate) fn start() -> Option<Self> {
        let program = installed("seaweedfs/bin/weed")?;
        let folder = tempfile::tempdir().expect("a folder");
        let identities = r#"{"identities":[{"name":"pipe","credentials":[{"accessKey":"pipekey",
            "secretKey":"pipesecret"}],"actions":["Admin","Read","List","Tagging","Write"]}]}"#;
        std::fs::write(folder.path().join("s3.json"), identities).expect("written");
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        // Each has a second port for its own protocol, 10,000 above.
        let ports: [u16; 4] = std::array::from_fn(|_| free_port(10_000));
        let [master, volume, filer, s3] = ports;
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let child = Command::new(program)
            .arg("server")
            .arg(format!("-dir={}", folder.path().join("data").display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.telemetry=false"])
            .args(["-master.volumeSizeLimitMB=64", "-volume.max=30"])
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-s3.config={}", folder.path().join("s3.json").display()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let server = Server { child, _folder: folder };
        wait_for(filer, "SeaweedFS");
        wait_for(s3, "SeaweedFS's S3");
        // To SeaweedFS, a bucket is a folder.
        let create = "POST /buckets/pipe/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let until = Instant::now() + START_WITHIN;
        while !(200..300).contains(&request(filer, create)) {
            assert!(Instant::now() < until, "no bucket");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(Self { _server: server, s3 })
    }

    /// Returns a remote below a prefix of its own: each bucket would take volumes of its own.
    pub(crate) fn bucket(&self, name: &str) -> Bucket {
        let endpoint = format!("http://127.0.0.1:{}", self.s3);
        choose_tls();
        let raw = AmazonS3Builder::new()
            .with_endpoint(&endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("pipe")
            .with_access_key_id("pipekey")
            .with_secret_access_key("pipesecret");
        let raw = object_store::prefix::PrefixStore::new(raw.build().expect("settings"), format!("some/{name}"));
        let environment = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "pipekey"),
            ("AWS_SECRET_ACCESS_KEY", "pipesecret"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Bucket { url: format!("s3://pipe/some/{name}"), environment, raw: Arc::new(raw) }
    }
}

/// Azure.
pub(crate) struct Azurite {
    _server: Server,
    port: u16,
}

/// An account of our own.
const ACCOUNT: &str = "pipeaccount";
const ACCOUNT_KEY: &str = "dGhlIGtleSBvZiBhIHRlc3QsIG9wZW4gdG8gYWxs";

impl Azurite {
    pub(crate) fn start() -> Option<Self> {
        let program = installed("azurite/node_modules/azurite/dist/src/blob/main.js")?;
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port(0));
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let child = Command::new("node")
            .arg(program)
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1"])
            .args(["--blobPort", &port.to_string(), "--location"])
            .arg(folder.path())
            .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{ACCOUNT_KEY}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let server = Server { child, _folder: folder };
        wait_for(port, "Azurite");
        Some(Self { _server: server, port })
    }

    pub(crate) fn bucket(&self, name: &str) -> Bucket {
        let endpoint = format!("http://127.0.0.1:{}/{ACCOUNT}", self.port);
        self.create(&format!("{endpoint}/{name}?restype=container"));
        choose_tls();
        let raw = MicrosoftAzureBuilder::new()
            .with_endpoint(endpoint.clone())
            .with_allow_http(true)
            .with_account(ACCOUNT)
            .with_access_key(ACCOUNT_KEY)
            .with_container_name(name);
        let raw = object_store::prefix::PrefixStore::new(raw.build().expect("settings"), "some/prefix");
        let environment = [
            ("AZURE_STORAGE_ENDPOINT", endpoint.as_str()),
            ("AZURE_ALLOW_HTTP", "true"),
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Bucket { url: format!("az://{name}/some/prefix"), environment, raw: Arc::new(raw) }
    }

    /// Makes a container, with a signature of the client's.
    fn create(&self, url: &str) {
        let mut request_of = object_store::client::HttpRequest::new(object_store::client::HttpRequestBody::empty());
        *request_of.method_mut() = "PUT".parse().expect("a method");
        *request_of.uri_mut() = url.parse().expect("a URI");
        let key = AzureAccessKey::try_new(ACCOUNT_KEY).expect("a key");
        let credential = object_store::azure::AzureCredential::AccessKey(key);
        AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut request_of).expect("signed");
        let target = request_of.uri().path_and_query().expect("a path").to_string();
        let mut text = format!("PUT {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n");
        for (name, value) in request_of.headers() {
            text += &format!("{name}: {}\r\n", value.to_str().expect("text"));
        }
        if !request_of.headers().contains_key("host") {
            text += &format!("host: 127.0.0.1:{}\r\n", self.port);
        }
        assert_eq!(request(self.port, &format!("{text}\r\n")), 201, "no container");
    }
}
