"""Train an agent in Waterworld from Python, then let it live in a world that it has not seen, and say what it ate.

python examples/train_waterworld.py [STEPS OF TRAINING] [STEPS OF LIFE]
"""

import sys

import rlrun

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 250_000
life = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000

run = rlrun.train("Waterworld", steps=steps, evaluate=0)
agent = rlrun.load(run)
envs = agent.seeing(rlrun.make("Waterworld", num_envs=1, seed=12_345))  # as the agent sees it: two steps at once

obs, _ = envs.reset()
reward, apples, poisons, hits = 0.0, 0, 0, 0
for _ in range(life):
    obs, gained, _, _, info = envs.step(agent.act(obs))
    reward += float(gained[0])
    apples += int(info["apples"][0])
    poisons += int(info["poisons"][0])
    hits += int(info["collided"][0])

expected = dict(zip(agent.action_names, agent.q_values(obs)[0].round(2).tolist(), strict=True))
print(f"now it expects {expected}")
print(f"in {life:,} steps: {reward / life:.3f} reward a step, {apples} red, {poisons} green, {hits} times into a wall")
