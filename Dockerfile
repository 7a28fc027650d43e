# The demo in a container: docker build -t splatmem . && docker run --rm -v "$PWD/out:/out" splatmem
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv python3-dev g++ && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/splatmem
ENV PATH=/opt/splatmem/bin:$PATH
# The CPU build of PyTorch; for a GPU leave the index out, and run with --gpus all (docs/install.md).
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir torch --index-url "$TORCH_INDEX"
COPY . /src
RUN pip install --no-cache-dir /src && splatmem doctor
ENTRYPOINT ["splatmem"]
CMD ["flyaround", "/src/assets/photos/interior_table.jpg", "--out", "/out/demo", "--overwrite"]
