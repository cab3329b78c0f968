import numpy as np


def one_hot(index, size):
    vector = np.zeros(size)
    vector[index] = 1.0
    return vector


class RecurrentNetwork:
    def __init__(self, number_of_symbols, number_of_units):
        self.number_of_symbols = number_of_symbols
        self.number_of_units = number_of_units
        self.input_weights = np.random.normal(scale=0.1, size=(number_of_units, number_of_symbols))
        self.recurrent_weights = np.random.normal(scale=0.1, size=(number_of_units, number_of_units))
        self.hidden_bias = np.zeros(number_of_units)
        self.output_weights = np.random.normal(scale=0.1, size=(number_of_symbols, number_of_units))
        self.output_bias = np.zeros(number_of_symbols)

    def run(self, symbols, initial_state):
        states = [initial_state]
        distributions = []
        for symbol in symbols:
            activation = self.input_weights @ one_hot(symbol, self.number_of_symbols)
            activation += self.recurrent_weights @ states[-1] + self.hidden_bias
            states.append(np.tanh(activation))
            scores = self.output_weights @ states[-1] + self.output_bias
            exponentials = np.exp(scores - scores.max())
            distributions.append(exponentials / exponentials.sum())
        return states, distributions

    def compute_loss(self, symbols, next_symbols, initial_state):
        _, distributions = self.run(symbols, initial_state)
        return -sum(np.log(d[s]) for d, s in zip(distributions, next_symbols)) / len(symbols)

    def compute_gradients(self, symbols, next_symbols, initial_state):
        states, distributions = self.run(symbols, initial_state)
        count = len(symbols)
        gradients = {
            "input_weights": np.zeros_like(self.input_weights),
            "recurrent_weights": np.zeros_like(self.recurrent_weights),
            "hidden_bias": np.zeros_like(self.hidden_bias),
            "output_weights": np.zeros_like(self.output_weights),
            "output_bias": np.zeros_like(self.output_bias),
        }
        from_the_future = np.zeros(self.number_of_units)
        for step in reversed(range(count)):
            error = (distributions[step] - one_hot(next_symbols[step], self.number_of_symbols)) / count
            gradients["output_weights"] += np.outer(error, states[step + 1])
            gradients["output_bias"] += error
            state_error = self.output_weights.T @ error + from_the_future
            activation_error = state_error * (1 - states[step + 1] ** 2)
            gradients["input_weights"] += np.outer(activation_error, one_hot(symbols[step], self.number_of_symbols))
            gradients["recurrent_weights"] += np.outer(activation_error, states[step + 1])
            gradients["hidden_bias"] += activation_error
            from_the_future = self.recurrent_weights.T @ activation_error
        return gradients
