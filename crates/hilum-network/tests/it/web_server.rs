//! A DICOMweb service small enough to see through: STOW-RS, QIDO-RS and WADO-RS over one study.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use hilum_dicom::{Instance, Limits};

/// What was stored, by SOP Instance UID, and what it does wrong.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) stored: BTreeMap<String, Vec<u8>>,
    /// Requests answered with 503 before it works.
    pub(crate) busy: usize,
    /// Transfer syntax it does not take.
    pub(crate) refuses: Option<String>,
    /// The value that Authorization has to have.
    pub(crate) authorization: Option<String>,
    /// Answers of WADO-RS end after so many bytes.
    pub(crate) cut: Option<usize>,
    pub(crate) requests: Vec<String>,
}

pub(crate) fn serve(service: Service) -> (String, Arc<Mutex<Service>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = format!("http://127.0.0.1:{}/dicom-web", listener.local_addr().unwrap().port());
    let service = Arc::new(Mutex::new(service));
    let inside = Arc::clone(&service);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let service = Arc::clone(&inside);
            std::thread::spawn(move || while_open(stream.unwrap(), &service));
        }
    });
    (root, service)
}

fn while_open(stream: TcpStream, service: &Mutex<Service>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut first, mut headers) = (String::new(), BTreeMap::new());
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(0, |v| v.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (code, kind, content) = answer(&first, &headers, &body, &mut service.lock().unwrap());
        let head = format!("HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", content.len());
        let cut = service.lock().unwrap().cut.filter(|_| kind.starts_with("multipart"));
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&content[..cut.unwrap_or(content.len()).min(content.len())]).unwrap();
        if cut.is_some() {
            return;
        }
    }
}

type Answer = (u16, &'static str, Vec<u8>);

fn answer(first: &str, headers: &BTreeMap<String, String>, body: &[u8], service: &mut Service) -> Answer {
    let json = |code, value: serde_json::Value| (code, "application/dicom+json", value.to_string().into_bytes());
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches("/dicom-web/").to_owned();
    service.requests.push(path.clone());
    if service.authorization.as_ref().is_some_and(|want| headers.get("authorization") != Some(want)) {
        return json(401, serde_json::json!({}));
    }
    if service.busy > 0 {
        service.busy -= 1;
        return json(503, serde_json::json!({}));
    }
    let limits = Limits::default();
    if first.starts_with("POST") {
        let boundary = headers["content-type"].split("boundary=").nth(1).unwrap();
        let delimiter = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let mut rest = body;
        let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what);
        while let Some(start) = find(rest, delimiter.as_bytes()) {
            rest = &rest[start + delimiter.len()..];
            let end = find(rest, format!("\r\n--{boundary}").as_bytes()).unwrap();
            let instance = Instance::of(&rest[..end], &limits).unwrap();
            let uid = instance.identity().sop_instance_uid.clone();
            let mut item = serde_json::json!({ "00081155": { "vr": "UI", "Value": [uid] } });
            if service.refuses.as_deref() == Some(instance.transfer_syntax_uid()) {
                item["00081197"] = serde_json::json!({ "vr": "US", "Value": [0x0122] });
                bad.push(item);
            } else {
                service.stored.insert(uid, rest[..end].to_vec());
                good.push(item);
            }
        }
        let code = if bad.is_empty() {
            200
        } else if good.is_empty() {
            409
        } else {
            202
        };
        let both = serde_json::json!({ "00081199": { "Value": good }, "00081198": { "Value": bad } });
        return json(code, both);
    }
    let objects: Vec<_> = service.stored.values().map(|f| (f, Instance::of(f, &limits).unwrap())).collect();
    let (path, _) = path.split_once('?').unwrap_or((&path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let value = |uid: &str| serde_json::json!({ "vr": "UI", "Value": [uid] });
    match parts[..] {
        ["studies"] | ["studies", _, "series"] => {
            let Some((_, one)) = objects.first() else { return json(204, serde_json::json!(null)) };
            let id = one.identity();
            json(
                200,
                serde_json::json!([{
                    "0020000D": value(id.study_uid.as_ref().unwrap()),
                    "0020000E": value(id.series_uid.as_ref().unwrap()),
                }]),
            )
        }
        ["studies", _, "series", _, "instances"] => {
            let one = |(_, i): &(&Vec<u8>, Instance<'_>)| {
                serde_json::json!({
                    "00080018": value(&i.identity().sop_instance_uid), "00080016": value(&i.identity().sop_class_uid),
                })
            };
            json(200, objects.iter().map(one).collect())
        }
        ["studies", _, "series", _] => {
            let mut all = Vec::new();
            for (file, _) in &objects {
                all.extend(b"--b\r\nContent-Type: application/dicom\r\n\r\n");
                all.extend(*file);
                all.extend(b"\r\n");
            }
            all.extend(b"--b--\r\n");
            (200, "multipart/related; type=\"application/dicom\"; boundary=b", all)
        }
        _ => json(404, serde_json::json!({})),
    }
}
