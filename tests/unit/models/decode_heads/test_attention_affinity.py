"""AttentionMiT and AttentionAffinityHead."""

import pytest
import torch
from mmseg.models.backbones import MixVisionTransformer

from mmseg_wsss.models.backbones import AttentionMiT
from mmseg_wsss.models.decode_heads import AttentionAffinityHead

MIT = {
    'embed_dims': 8,
    'num_stages': 3,
    'num_layers': [1, 2, 3],
    'num_heads': [1, 2, 4],
    'patch_sizes': [7, 3, 3],
    'strides': [4, 2, 1],
    'sr_ratios': [4, 2, 1],
    'out_indices': (0, 1, 2),
}


def networks(**settings):
    torch.manual_seed(0)
    plain = MixVisionTransformer(**MIT, **settings).double()
    plain.init_weights()
    ours = AttentionMiT(**MIT, **settings).double()
    ours.load_state_dict(plain.state_dict(), strict=True)
    return plain, ours


class TestAttentionMiT:
    @pytest.mark.parametrize('size', [(32, 32), (33, 41)])
    @pytest.mark.parametrize('qkv_bias', [True, False])
    def test_features_are_those_of_mmseg(self, size, qkv_bias):
        plain, ours = networks(qkv_bias=qkv_bias)
        img = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
        again = img.detach().clone().requires_grad_()
        expected, (*feats, _) = plain(img), ours(again)
        assert len(feats) == 3
        for feat, other in zip(feats, expected):
            torch.testing.assert_close(feat, other)
        sum(feat.square().sum() for feat in expected).backward()
        sum(feat.square().sum() for feat in feats).backward()
        torch.testing.assert_close(again.grad, img.grad)
        for (name, a), b in zip(ours.named_parameters(), plain.parameters()):
            torch.testing.assert_close(a.grad, b.grad, msg=name)

    def test_queries_and_keys_are_those_of_the_last_blocks(self):
        plain, ours = networks()
        img = torch.randn(2, 3, 32, 40, dtype=torch.float64)
        seen = []
        for block in plain.layers[-1][1][-2:]:
            block.attn.attn.register_forward_pre_hook(
                lambda module, args, kwargs: seen.append((module, kwargs['query'])),
                with_kwargs=True,
            )
        plain(img)
        pairs = ours(img)[-1]
        assert pairs.shape == (2, 2 * 2 * 32, 4, 5)
        for i, (module, x) in enumerate(seen):
            query, key, _ = (
                x.transpose(0, 1) @ module.in_proj_weight.T + module.in_proj_bias
            ).chunk(3, -1)
            for j, expected in enumerate((query, key)):
                part = pairs[:, 64 * i + 32 * j :][:, :32].flatten(2).transpose(1, 2)
                torch.testing.assert_close(part, expected)

    def test_checkpointing_changes_nothing(self):
        _, plain = networks()
        _, frugal = networks(with_cp=True)
        for model in (plain, frugal):
            img = torch.ones(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
            sum(feat.square().sum() for feat in model(img)).backward()
            model.grads = [p.grad for p in model.parameters()]
        for a, b in zip(plain.grads, frugal.grads):
            torch.testing.assert_close(a, b)

    def test_dropout_is_active_in_training_only(self):
        _, model = networks(attn_drop_rate=0.5)
        img = torch.randn(1, 3, 32, 32, dtype=torch.float64)
        assert not torch.equal(model(img)[2], model(img)[2])
        model.eval()
        assert torch.equal(model(img)[2], model(img)[2])

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match=r'num_attentions .* 3, got 4'):
            AttentionMiT(**MIT, num_attentions=4)
        with pytest.raises(ValueError, match=r'sr_ratios\[-1\] = 1, got 2'):
            AttentionMiT(**(MIT | {'sr_ratios': [4, 2, 2]}))

    def test_tells_the_head_what_it_delivers(self):
        _, model = networks()
        head = AttentionAffinityHead(**model.affinity_inputs).double()
        assert head.fuse.weight.shape == (1, 2 * 4, 1, 1)
        affinity = head(model(torch.randn(2, 3, 32, 40, dtype=torch.float64)))
        assert affinity.shape == (2, 20, 20)


def slow_affinity(head, feat):
    """Attention logits of every head, then a 1x1 convolution over the heads."""
    blocks = feat.flatten(2).chunk(head.num_blocks, 1)
    maps = []
    for block in blocks:
        queries, keys = (part.chunk(head.num_heads, 1) for part in block.chunk(2, 1))
        for query, key in zip(queries, keys):
            logits = torch.einsum('nci,ncj->nij', query, key)
            maps.append(logits + logits.transpose(1, 2) if head.symmetric else logits)
    return head.fuse(torch.stack(maps, 1))[:, 0].sigmoid()


class TestAttentionAffinityHead:
    @pytest.mark.parametrize('symmetric', [True, False])
    @pytest.mark.parametrize(('blocks', 'heads'), [(1, 1), (2, 3)])
    def test_against_a_map_for_every_head(self, symmetric, blocks, heads):
        channels = 2 * blocks * heads * 4
        head = AttentionAffinityHead(channels, heads, blocks, symmetric=symmetric)
        head.init_weights()
        feat = torch.randn(2, channels, 3, 5)
        affinity = head([feat])
        torch.testing.assert_close(affinity, slow_affinity(head, feat))
        same = torch.allclose(affinity, affinity.transpose(1, 2), atol=1e-6)
        assert same == symmetric

    def test_by_hand(self):
        head = AttentionAffinityHead(2, num_heads=1, symmetric=False)
        with torch.no_grad():
            head.fuse.weight.fill_(2.0)
            head.fuse.bias.fill_(-1.0)
        feat = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).reshape(1, 2, 1, 2)
        expected = torch.tensor([[[5.0, -3.0], [11.0, -5.0]]]).sigmoid()
        torch.testing.assert_close(head(feat), expected)

    def test_learnt_embedding_is_query_and_key(self):
        head = AttentionAffinityHead(6, num_heads=2, embed_channels=8)
        feat = torch.randn(2, 6, 3, 3)
        shared = head.projection(feat) / 4**0.25  # of both: 1 / sqrt(4) in all
        pairs = torch.cat([shared, shared], 1)
        torch.testing.assert_close(head(feat), slow_affinity(head, pairs))
        head.init_weights()
        assert (head.fuse.weight > 0).all()

    def test_gradients(self):
        head = AttentionAffinityHead(4, num_heads=2, embed_channels=4).double()
        feat = torch.randn(1, 4, 2, 2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(head, feat)
        head(feat).sum().backward()
        assert all(p.grad.abs().sum() > 0 for p in head.parameters())

    def test_half_precision_outside(self):
        head = AttentionAffinityHead(32, num_heads=2, num_blocks=2)
        feat = torch.randn(1, 32, 3, 3)
        with torch.autocast('cpu', torch.bfloat16):
            affinity = head(feat.bfloat16())
        assert affinity.dtype == torch.float32
        torch.testing.assert_close(affinity, head(feat), atol=0.02, rtol=0.0)

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match=r'12 query .* 2 blocks with 2 heads'):
            AttentionAffinityHead(12, num_heads=2, num_blocks=2)
        with pytest.raises(ValueError, match='num_blocks=2'):
            AttentionAffinityHead(12, 2, 2, embed_channels=8)
        with pytest.raises(ValueError, match=r'expected 8 channels.*in_index=-1'):
            AttentionAffinityHead(8, 2)([torch.zeros(1, 4, 2, 2)])
