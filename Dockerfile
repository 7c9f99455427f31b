# depthseed with CUDA. The packages of torch bring CUDA's libraries; the machine needs NVIDIA's driver and container
# toolkit.
#
#   docker build -t depthseed .
#   docker run --rm --gpus all --shm-size 8g -v "$PWD/artifacts:/depthseed/artifacts" depthseed
#   docker run --rm --gpus all --shm-size 8g -v /data:/data -v "$PWD/artifacts:/depthseed/artifacts" depthseed \
#       .venv/bin/luigi --module pipeline RunAll --dataset hope --data-root /data
FROM nvidia/cuda:13.0.1-base-ubuntu24.04

RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /depthseed
COPY . .
RUN make .venv/.ready

CMD ["make", "demo"]
