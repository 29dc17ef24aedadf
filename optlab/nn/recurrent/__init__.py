"""Recurrent layers with hand-written backpropagation through time."""

from optlab.nn.recurrent.layers import RecurrentLayers
from optlab.nn.recurrent.lstm import LSTM, Gates
from optlab.nn.recurrent.lstm_cell import LSTMCell
from optlab.nn.recurrent.rnn import RNN, RNNCell

__all__ = ["LSTM", "RNN", "Gates", "LSTMCell", "RNNCell", "RecurrentLayers"]
