"""Infers a few times with ncnn between calls of getppid, as main.rs does: count_ncnn.py NETWORK.ncnn f32|f16"""

import os
import sys

import ncnn
import numpy

net = ncnn.Net()
net.opt.num_threads = 1
half = sys.argv[2] == "f16"
net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = half
net.opt.use_bf16_storage = False
net.load_param(sys.argv[1] + ".param")
net.load_model(sys.argv[1] + ".bin")
picture = numpy.random.RandomState(0).uniform(-1, 1, (3, 224, 224)).astype(numpy.float32)
kept = ncnn.Mat(picture).clone()
for run in range(3):
    extractor = net.create_extractor()
    mat = kept.clone()
    os.getppid()
    extractor.input("in0", mat)
    result, logits = extractor.extract("out0")
    os.getppid()
    assert result == 0 and numpy.isfinite(numpy.array(logits)).all()
