"""Look inside an agent: which states a neuron likes best, which state an action likes best, and what that hangs on.

python examples/look_inside_an_agent.py [RUN], or without a run: a small CartPole agent is trained first.
"""

import sys

import rlrun
from rlrun.cli.subject import visited
from rlrun.networks.probe import layer_names
from rlrun.networks.saliency import gradient_saliency
from rlrun.networks.stimulus import layer_values, nearest_distance, optimum_at_norm, output_objective, top_stimuli

run = sys.argv[1] if len(sys.argv) > 1 else rlrun.train("CartPole-v1", steps=3_000, evaluate=0)
player = rlrun.load(run)
network = player.agent.online.float().eval()
states = visited(player, 200, seed=1).float()
if states.dim() == 4:
    states = states / 255

layer = [name for name in layer_names(network) if name.startswith("body.")][-1]
values = layer_values(network, layer, states)  # (states, units)
unit = int(values.std(0).argmax())
print(f"{layer}, unit {unit}: likes states {top_stimuli(values, unit, 3).tolist()} best")

for action, name in enumerate(player.action_names):
    advantage = output_objective(network, action, advantage=True)
    best = states[int(advantage(states).argmax())]
    found = optimum_at_norm(network, advantage, best.shape, norm=float(best.norm()), start=best, steps=100)
    distance, _ = nearest_distance(found, states)
    print(f"{name}: advantage {advantage(best[None]).item():.3f} in the best state visited, "
          f"{advantage(found[None]).item():.3f} at the optimum, {distance:.3g} away from any")  # fmt: skip
    print("  it hangs on", gradient_saliency(network, best, action).flatten()[:4].tolist())

for path in rlrun.inspect(run, ["activations", "saliency"], states=50).sheets.values():
    print(path)
