# check: ex2/decode
# expect: full
# keys: 20
# whole: yes
# why: PyTorch's tensors between the steps
def greedy_decode(step, input_ids, attention_mask, length):
    ids, mask = torch.tensor(input_ids), torch.tensor(attention_mask)
    for _ in range(length - ids.shape[1]):
        logits = torch.from_numpy(step(ids.numpy(), mask.numpy()))
        chosen = torch.argmax(logits, dim=-1, keepdim=True)
        ids = torch.cat([ids, chosen], dim=-1)
        mask = torch.cat([mask, torch.ones_like(chosen)], dim=-1)
    return ids.numpy()
