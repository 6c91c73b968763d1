"""One body, two heads: the body of a Q-network learns to read digits, and stays the Q-network's body while it does."""

import sys

import torch

from rlrun.networks.classifier import classifier_on
from rlrun.networks.cnn import CNN, ConvLayer
from rlrun.networks.digits import load_data
from rlrun.networks.fit import fit, score
from rlrun.networks.heads import ExpectationHead
from rlrun.networks.qnetwork import QNetwork

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
digits = load_data("digits")  # scikit-learn's 8 x 8 pixels, a fifth held out

torch.manual_seed(0)
body = CNN(digits.in_shape, [ConvLayer(16, 3, 1, 1, pool=2), ConvLayer(32, 3, 1, 1)])
q_network = QNetwork(body, ExpectationHead(body.out_features, actions=4))  # outputs: E[R | s, a]
classifier = classifier_on(q_network.body, digits.in_shape, len(digits.classes))  # outputs: P(Y = k | x)
assert classifier.body is q_network.body

before = q_network(digits.test.x[:1])
for fitting in fit(classifier, digits.train, digits.test, epochs=epochs, batch_size=32):
    if fitting.test_accuracy is not None:
        print(f"epoch {fitting.epoch}: {fitting.log_likelihood:.3f} nats an example, test {fitting.test_accuracy:.1%}")

print(f"8 x 8 digits held out: {score(classifier, digits.test).accuracy:.1%} right")
print(
    "what the Q-network expects has moved with its body:", before.tolist(), "to", q_network(digits.test.x[:1]).tolist()
)
