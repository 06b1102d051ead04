//! Our training as a contestant: see the crate's page for the lines it answers.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use hilum_benches::{NETWORKS, input_for, serve};
use hilum_train::{Optimizer, TrainDevice, Trainee};

/// The allocator of the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A network with its batch.
struct Prepared {
    trainee: Trainee,
    images: Vec<f32>,
    truth: Vec<f32>,
    shape: [usize; 5],
}

fn main() -> std::io::Result<()> {
    let mut prepared: Option<Prepared> = None;
    serve(|line| match line {
        ["prepare", name, batch, threads, _] => {
            rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
            prepared = Some(prepare(name, batch.parse()?)?);
            Ok(String::new())
        }
        ["run"] => {
            let Prepared { trainee, images, truth, shape } = prepared.as_mut().context("nothing is prepared")?;
            let started = Instant::now();
            let loss = trainee.step(images.clone(), *shape, truth.clone(), &Optimizer::default(), 1e-3)?;
            Ok(format!("{} {loss}", started.elapsed().as_secs_f64()))
        }
        _ => bail!("not understood: {}", line.join(" ")),
    })
}

fn prepare(name: &str, batch: usize) -> Result<Prepared> {
    let network = NETWORKS.iter().find(|network| network.name == name).context("there is no such network")?;
    let graph = network.graph();
    let [slices, rows, columns] = network.size;
    let shape = [batch, 1, slices, rows, columns];
    let images = input_for(shape.iter().product());
    let truth =
        input_for(images.len() * graph.output_channels()).iter().map(|v| f32::from(u8::from(*v > 0.2))).collect();
    Ok(Prepared { trainee: Trainee::new(graph, 1, TrainDevice::Cpu), images, truth, shape })
}
