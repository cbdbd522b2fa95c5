# qwenchat on a CPU, for servers and the curious:
#   docker build --tag qwenchat-cpu .
#   docker run -it --rm -v qwenchat:/data qwenchat-cpu
# Conversations, settings and models stay in the volume. A model on a server: add --server http://host:8000/v1.

FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /dist

FROM python:3.12-slim
# PyPI's torch for Linux is the one for CUDA, 2.7 GB. The other index has the same release for CPUs, which pip prefers.
COPY constraints.txt /tmp/
COPY --from=build /dist/*.whl /tmp/
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu \
      /tmp/*.whl && rm /tmp/*.whl /tmp/constraints.txt
RUN useradd --create-home --uid 1000 chat && install -d -o chat -g chat -m 700 /data
USER chat
ENV QWENCHAT_HOME=/data HF_HOME=/data/huggingface TERM=xterm-256color COLORTERM=truecolor LANG=C.UTF-8
VOLUME /data
WORKDIR /data
ENTRYPOINT ["qwenchat"]
